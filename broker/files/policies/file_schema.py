"""The schema of a policy file: it validates files, makes their JSON Schema and the engine's rules.

Every class is one mapping of a file, as it may be written, with a method for the value of the
engine (core/policy/model.py) that it stands for. The words that both know are the engine's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from broker.core.entities import Assurance, Text
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    AttributeReading,
    Attributes,
    with_assumed_ground,
)
from broker.core.login.login_decision import login_facts
from broker.core.policy import model as engine
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import AddressWriting, Expectation, RegisterRule
from broker.files.checked_files import Day, Flag, Shape, Version, Whole
from broker.files.editor_schemas import JsonSchema, schema_of
from broker.files.policies.value_syntax import (
    NO_BORROWER,
    CprKind,
    ExpectedBorrower,
    FilePlace,
    Level,
    Months,
    NameList,
    OneLineText,
    Span,
    Values,
    expected_category,
)


class FieldShape(Shape):
    """Where a borrower field comes from, and when it is written."""

    source: Values = Field(alias="from")  # the first that there is
    set: engine.FieldWriting

    def field(self, name: str, place: FilePlace) -> engine.Field:
        """Return the borrower field of this name."""
        first, *others = self.source
        return engine.Field(name, first, self.set, place.line, tuple(others))


class LowersShape(Shape):
    """Which categories a login by which upstreams may lower to this one."""

    by: Values
    categories: NameList

    def lowering(self) -> engine.Lowering:
        """Return the lowering."""
        return engine.Lowering(self.by, self.categories)


class RegisterShape(Shape):
    """What is done with the answer of the register of persons, which is asked with this."""

    address: AddressWriting = "never"

    def rule(self) -> RegisterRule:
        """Return the rule."""
        return RegisterRule(self.address)


class BorrowerShape(Shape):
    """The borrower that a person of this affiliation becomes."""

    find_by: tuple[Literal["cpr"], ...]
    category: OneLineText
    upgrades: tuple[OneLineText, ...] = ()
    lowers: LowersShape | None = None
    expires_after: Months
    fields: dict[str, FieldShape]
    # "register" is a method of every model's class.
    of_register: RegisterShape | None = Field(None, alias="register")
    pin: engine.PinDelivery

    def rule(self, place: FilePlace) -> engine.BorrowerRule:
        """Return the rule, its fields with their lines."""
        fields = (
            written.field(name, place.below("fields", name))
            for name, written in self.fields.items()
        )
        return engine.BorrowerRule(
            find_by=self.find_by,
            category=self.category,
            upgrades=self.upgrades,
            expires_after_months=self.expires_after,
            fields=tuple(fields),
            pin=self.pin,
            place=place.line,
            lowers=self.lowers.lowering() if self.lowers else None,
            register=self.of_register.rule() if self.of_register else None,
            lines=place.lines_of(self._written_keys()),
        )

    def _written_keys(self) -> Iterator[str]:
        for name in self.model_fields_set:
            yield type(self).model_fields[name].alias or name


# What editors show about two of the mappings.
_POLICY: Final = (
    "One affiliation: who has it, what borrower they become, and what each service gets of them."
)
_ALTERNATIVE: Final = (
    "One way to match: an upstream, a least assurance, and attributes with the values that match;"
    " all must hold."
)


# The mappings of a file


class Words(Shape):
    """One text in both languages."""

    en: OneLineText
    da: OneLineText

    def text(self) -> Text:
        """Return the text."""
        return Text(self.en, self.da)


class AlternativeShape(Shape, extra="allow", json_schema_extra={"description": _ALTERNATIVE}):
    """One way to match: conditions that must all hold."""

    __pydantic_extra__: dict[str, Values]
    upstream: Values
    assurance: Level | None = None

    def alternative(self, place: FilePlace) -> engine.Alternative:
        """Return the conditions, each with its line."""
        conditions = (
            engine.Condition(name, values, place.below(name).line)
            for name, values in self._conditions()
        )
        return engine.Alternative(tuple(conditions), place.line)

    def _conditions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield "upstream", self.upstream
        yield from (self.__pydantic_extra__ or {}).items()
        if self.assurance:
            yield "assurance", (self.assurance,)


class DomainShape(Shape):
    """A mail domain that proves something until a day."""

    name: OneLineText
    until: Day


class ProofShape(Shape):
    """A mailbox shown to be the person's own."""

    kind: Literal["mailbox"]
    domains: Annotated[tuple[OneLineText | DomainShape, ...], Field(min_length=1)]
    code_valid_for: Span
    remembered_for: Span

    def proof(self, name: str, place: FilePlace) -> engine.ProofRule:
        """Return the proof of this name."""
        listed = place.below("domains")
        domains = tuple(map(_mail_domain, self.domains))
        of_domains = {each.name: listed.below(at).line for at, each in enumerate(domains)}
        return engine.ProofRule(
            name=name,
            domains=domains,
            code_valid_for=self.code_valid_for,
            remembered_for=self.remembered_for,
            place=listed.line,
            lines=of_domains | place.lines_of(self.model_fields_set),
        )


def _mail_domain(written: str | DomainShape) -> engine.MailDomain:
    if isinstance(written, str):
        return engine.MailDomain(written)
    return engine.MailDomain(written.name, written.until)


class RequireShape(Shape):
    """What enrolling by oneself needs."""

    cpr: Literal["real"] | None = None
    age: Whole | None = None
    assurance: Level | None = None
    upstream: Values = ()  # the ways to log in by which an account is made

    def requirement(self, place: FilePlace) -> engine.Requirement:
        """Return the requirement."""
        return engine.Requirement(
            cpr=self.cpr is not None,
            age=self.age,
            assurance=_assurance(self.assurance),
            place=place.line,
            upstream=self.upstream,
            lines=place.lines_of(self.model_fields_set),
        )


class AttributeShape(Shape):
    """One attribute that leaves, and why."""

    why: Words
    values: Values = ()
    mask: Flag = False
    optional: Flag = False

    def released(self, name: str, place: FilePlace) -> engine.ReleasedAttribute:
        """Return the attribute of this name."""
        return engine.ReleasedAttribute(
            name=name,
            why=self.why.text(),
            place=place.line,
            values=self.values,
            mask=self.mask,
            optional=self.optional,
        )


class ReleaseShape(Shape):
    """What one service, or the members of an entity category, get."""

    service: OneLineText
    borrower: engine.AccountDemand
    legal_basis: engine.LegalBasis
    purpose: Words
    name_id: engine.NameIDKind = "persistent"
    name_id_why: Words | None = None  # of email: shown as an attribute's reason is
    notice: engine.Notice = "ours"
    attributes: dict[str, AttributeShape]

    def release(self, place: FilePlace) -> engine.Release:
        """Return the release entry, its attributes with their lines."""
        attributes = (
            written.released(name, place.below("attributes", name))
            for name, written in self.attributes.items()
        )
        return engine.Release(
            service=self.service,
            borrower=self.borrower,
            legal_basis=self.legal_basis,
            purpose=self.purpose.text(),
            name_id=self.name_id,
            attributes=tuple(attributes),
            place=place.line,
            notice=self.notice,
            subject=self._subject(place),
            lines=place.lines_of(self.model_fields_set),
        )

    def _subject(self, place: FilePlace) -> engine.ReleasedAttribute | None:
        if self.name_id_why is None:
            return None
        line = place.below("name_id_why").line
        return engine.ReleasedAttribute(engine.NAME_ID, self.name_id_why.text(), line)


class LoginShape(Shape, extra="allow"):
    """An example's login: attributes under their names, the CPR as a kind, never a number."""

    __pydantic_extra__: dict[str, Values]
    upstream: OneLineText
    assurance: Level | None = None
    cpr: CprKind = "none"
    age: Whole | None = None
    intent: OneLineText | None = None
    borrower: Flag | None = None
    proof: dict[str, OneLineText] = Field(default_factory=dict)
    verified_address: OneLineText | None = None
    day: Day | None = None

    def facts(self) -> engine.LoginFacts:
        """Return the facts of the login, without any number."""
        attributes = dict(self.__pydantic_extra__ or {})
        if self.cpr not in {"none", "invalid"}:
            attributes[CPR_ATTRIBUTE] = CPR_STAND_IN
        for name, address in self.proof.items():
            attributes[name] = (address,)
            attributes[f"{name}{PROOF_DOMAIN}"] = (address.rpartition("@")[2],)
        reading = AttributeReading(
            Attributes(attributes),
            _assurance(self.assurance),
            self.cpr,
            self.age,
            verified_address=self.verified_address or min(self.proof.values(), default=None),
        )
        read = with_assumed_ground(reading).without_cpr()
        facts = login_facts(read, upstream=self.upstream, intent=self.intent)
        return replace(facts, borrower=self.borrower)


class ExpectShape(Shape):
    """What must come of an example; what is not mentioned is not checked."""

    effect: Literal["permit", "deny"]
    reason: OneLineText | None = None
    affiliation: OneLineText | None = None
    borrower: ExpectedBorrower | None = None
    releases: tuple[OneLineText, ...] | None = None

    def expectation(self) -> Expectation:
        """Return the expectation."""
        return Expectation(
            effect=self.effect,
            reason=self.reason,
            category=expected_category(self.borrower),
            releases=self.releases,
            affiliation=self.affiliation,
            no_borrower=self.borrower == NO_BORROWER,
        )


class ExampleShape(Shape):
    """A login, a service, and what must come of it."""

    name: OneLineText
    login: LoginShape
    service: OneLineText
    expect: ExpectShape

    def example(self, place: FilePlace) -> engine.Example:
        """Return the example."""
        return engine.Example(
            name=self.name,
            login=self.login.facts(),
            service=self.service,
            expect=self.expect.expectation(),
            place=place.line,
            day=self.login.day,
        )


class PolicyShape(Shape):
    """One file: the affiliation, its matches, its borrower and its releases."""

    asides: ClassVar[Mapping[str, str]] = {"until": "; nothing else can end on a day"}
    version: Version
    affiliation: Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,39}$")]
    precedence: Whole
    label: Words
    owner: OneLineText
    review_by: Day
    match: Annotated[tuple[AlternativeShape, ...], Field(min_length=1)]
    proofs: dict[str, ProofShape] = Field(default_factory=dict)
    require: RequireShape = RequireShape()
    borrower: BorrowerShape | None = None
    release: tuple[ReleaseShape, ...]
    examples: Annotated[tuple[ExampleShape, ...], Field(min_length=1)]

    def policy(self, file: FilePlace) -> engine.Policy:
        """Return the immutable policy, every rule with the line it stands on in ``file``."""
        alternatives = (
            written.alternative(file.below("match", at)) for at, written in enumerate(self.match)
        )
        releases = (
            written.release(file.below("release", at)) for at, written in enumerate(self.release)
        )
        examples = (
            written.example(file.below("examples", at)) for at, written in enumerate(self.examples)
        )
        proofs = (
            written.proof(name, file.below("proofs", name)) for name, written in self.proofs.items()
        )
        return engine.Policy(
            file=file.file,
            affiliation=self.affiliation,
            precedence=self.precedence,
            label=self.label.text(),
            owner=self.owner,
            review_by=self.review_by,
            match=tuple(alternatives),
            proofs=tuple(proofs),
            require=self.require.requirement(file.below("require")),
            borrower=self.borrower.rule(file.below("borrower")) if self.borrower else None,
            releases=tuple(releases),
            examples=tuple(examples),
        )


def _assurance(level: Level | None) -> Assurance | None:
    if level is None:
        return None
    return Assurance.named(level)


def json_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/policy.schema.json holds it."""
    return schema_of(PolicyShape, _POLICY)
