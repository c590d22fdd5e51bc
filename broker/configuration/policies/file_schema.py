"""The schema of a policy file: it validates files, makes their JSON Schema and the engine's rules.

Every class is one mapping of a file, as it may be written, with a method for the value of the
engine (core/policy/model.py) that it stands for. The words that both know are the engine's.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from broker.configuration.checked_files import Day, Flag, Shape, Whole, did_you_mean
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.policies.file_checks import PolicyProblem
from broker.configuration.policies.policy_folder import SERVICES
from broker.configuration.policies.value_syntax import (
    NO_BORROWER,
    PERSONS_OWN,
    CprKind,
    ExpectedBorrower,
    ExpiryText,
    FilePlace,
    Level,
    NameList,
    OneLineText,
    Span,
    Values,
    expected_category,
)
from broker.core.entities import Assurance, Text
from broker.core.identity.attribute_properties import find_properties
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    AttributeReading,
    Attributes,
    assume_ground,
)
from broker.core.login.login_decision import login_facts
from broker.core.policy import model as engine
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import AddressWriting, Expectation, RegisterRule


class _ShortForEditors:
    """The JSON Schema of a mapping whose main key may be written alone, one value or several."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        """Return that a value, a list of values or the mapping may stand there."""
        several = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [{"type": "string"}, several, handler(core_schema)]}


def _from_source(written: object) -> object:
    """Read the source of a field alone, as its mapping."""
    return {"from": written} if isinstance(written, str | list) else written


class FieldShape(Shape):
    """Where a borrower field comes from, and when it is written."""

    source: Values = Field(alias="from")  # the first that there is
    set: engine.FieldWriting | None = None

    def field(self, name: str, place: FilePlace) -> engine.Field:
        """Return the borrower field of this name; a person's own is written once."""
        first, *others = self.source
        usual: engine.FieldWriting = "create" if name in PERSONS_OWN else "always"
        return engine.Field(name, first, self.set or usual, place.line, tuple(others))


class LowersShape(Shape):
    """Which categories a login by which upstreams may lower to this one."""

    by: Values
    categories: NameList

    def lowering(self) -> engine.Lowering:
        """Return the lowering."""
        return engine.Lowering(self.by, self.categories)


class BorrowerShape(Shape):
    """The borrower that a person of this affiliation becomes."""

    category: OneLineText
    upgrades: tuple[OneLineText, ...] = ()
    lowers: LowersShape | None = None
    expires: ExpiryText
    fields: dict[str, Annotated[FieldShape, BeforeValidator(_from_source), _ShortForEditors()]]
    # "register" is a method of every model's class.
    of_register: AddressWriting | None = Field(None, alias="register")
    pin: engine.PinDelivery = "mail"

    def rule(self, place: FilePlace) -> engine.BorrowerRule:
        """Return the rule, its fields with their lines."""
        fields = (
            written.field(name, place.below("fields", name))
            for name, written in self.fields.items()
        )
        return engine.BorrowerRule(
            category=self.category,
            upgrades=self.upgrades,
            expires=self.expires,
            fields=tuple(fields),
            pin=self.pin,
            place=place.line,
            lowers=self.lowers.lowering() if self.lowers else None,
            register=RegisterRule(self.of_register) if self.of_register else None,
            lines=place.lines_of(self._written_keys()),
        )

    def _written_keys(self) -> Iterator[str]:
        for name in self.model_fields_set:
            yield type(self).model_fields[name].alias or name


# What editors show about two of the mappings.
_POLICY: Final = (
    "One affiliation: who has it, what borrower they become, and what each service gets of them."
)
_DANISH: Final = re.compile(r"[\u00e6\u00f8\u00e5\u00c6\u00d8\u00c5]")
_SERVICES: Final = "What people are told of each service: why it gets what it gets."
_ALTERNATIVE: Final = (
    "One way to match: an upstream, a least assurance, and attributes with the values that match;"
    " all must hold."
)


# The mappings of a file


class Words(Shape):
    """One text in both languages."""

    en: OneLineText
    da: OneLineText

    @model_validator(mode="after")
    def _has_two_languages(self) -> "Words":
        if self.en == self.da and " " in self.en:
            raise ValueError("en and da are the same text: translate one of them")
        if _DANISH.search(self.en) and not _DANISH.search(self.da):
            raise ValueError("en looks Danish and da does not: they may be swapped")
        return self

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

    domains: Annotated[tuple[OneLineText | DomainShape, ...], Field(min_length=1)]
    code_valid_for: Span = timedelta(minutes=30)
    remembered_for: Span = timedelta(days=365)

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


class ExceptionShape(Shape):
    """What is different for the people of one institution."""

    category: OneLineText | None = None
    upgrades: tuple[OneLineText, ...] | None = None
    expires: ExpiryText | None = None
    require: RequireShape | None = None

    def unstated(
        self, name: str, place: FilePlace, *, has_borrower: bool
    ) -> Iterator[PolicyProblem]:
        """Yield the faults of an exception: its name, no key, or no account to except from."""
        if not re.fullmatch(find_properties(engine.HOME_ORGANIZATION).pattern or "", name):
            fix = "write the schacHomeOrganization, as via.dk"
            yield place.line, f"{name!r} is no home organisation", fix
        elif not self.model_fields_set:
            yield place.line, "the exception says nothing", "write category, expires or require"
        elif not has_borrower and self.model_fields_set != {"require"}:
            yield place.line, "the file has no borrower section to except from", "add one"

    def policy(self, usual: engine.Policy, name: str, place: FilePlace) -> engine.Policy:
        """Return the policy of the institution ``name``: the usual one with these keys replaced."""
        stated = {
            key: value
            for key in ("category", "upgrades", "expires")
            if (value := getattr(self, key)) is not None
        }
        lines = place.lines_of(stated)
        rule = usual.borrower
        if rule is not None and stated:
            rule = replace(rule, **stated, place=place.line, lines={**rule.lines, **lines})
        return replace(
            usual,
            require=self._requirement(usual.require, place.below("require")),
            borrower=rule,
            institution=name,
            place=place.line,
        )

    def _requirement(self, usual: engine.Requirement, place: FilePlace) -> engine.Requirement:
        if self.require is None:
            return usual
        own = self.require.requirement(place)
        keys = self.require.model_fields_set
        stated = {key: getattr(own, key) for key in keys}
        return replace(usual, **stated, place=own.place, lines={**usual.lines, **own.lines})


class AttributeShape(Shape):
    """One attribute that leaves, and why."""

    why: Words | None = None
    values: Values = ()
    states: Values = ()
    optional: Flag = False

    def released(self, name: str, why: Words | None, place: FilePlace) -> engine.ReleasedAttribute:
        """Return the attribute of this name, ``why`` being its reason if it states none itself."""
        reason = self.why or why
        if reason is None:
            raise ValueError(f"no reason for {name}")
        return engine.ReleasedAttribute(
            name=name,
            why=reason.text(),
            place=place.line,
            values=self.values,
            states=self.states,
            optional=self.optional,
        )


def _listed(written: object) -> object:
    """Read a list of names, each alone or with the values that may leave or more."""
    if not isinstance(written, list):
        raise ValueError("must be a list: write [one, another]")  # noqa: TRY004 - pydantic's
    found: dict[str, object] = {}
    for item in written:
        pairs = {item: {}} if isinstance(item, str) else item
        if not isinstance(pairs, dict) or len(pairs) != 1:
            raise ValueError("each item must be a name, or name: values")
        ((name, more),) = pairs.items()
        if name in found:
            raise ValueError(f"{name} is listed twice")
        found[name] = more if isinstance(more, dict) else {"values": more}
    return found


_ONE_ACCESS: Final = "one of make, need and none must list the attributes that leave"


class _ListForEditors:
    """The JSON Schema of a list of attributes, whose items are read as a mapping."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        """Return that each item is a name, or a name with values or more."""
        one = handler(core_schema)["additionalProperties"]
        named = {"type": "object", "maxProperties": 1, "additionalProperties": one}
        return {"type": "array", "items": {"anyOf": [{"type": "string"}, named]}}


_AttributeValues = Annotated[AttributeShape, _ShortForEditors()]
AttributeList = Annotated[dict[str, _AttributeValues], BeforeValidator(_listed), _ListForEditors()]


class ServiceShape(Shape):
    """What people are told of one service, or of the members of an entity category."""

    purpose: Words
    legal_basis: engine.LegalBasis
    name_id: engine.NameIDKind = "persistent"
    name_id_why: Words | None = None  # of email: shown as an attribute's reason is
    notice: engine.Notice = "ours"
    attributes: dict[str, Words] = Field(default_factory=dict)  # the reasons


Services = Mapping[str, tuple[ServiceShape, FilePlace]]


class ServicesShape(Shape, extra="allow"):
    """The file services.yaml."""

    __pydantic_extra__: dict[str, ServiceShape]

    def services(self, file: FilePlace) -> Services:
        """Return the services by name, each with its place in ``file``."""
        named = (self.__pydantic_extra__ or {}).items()
        return {name: (service, file.below(name)) for name, service in named}


class ReleaseShape(Shape):
    """What one service, or the members of an entity category, get of an affiliation.

    One of ``make``, ``need`` and ``none`` has the attributes. A key that services.yaml has too
    replaces, for this affiliation, what it says there.
    """

    make: AttributeList | None = None
    need: AttributeList | None = None
    none: AttributeList | None = None
    legal_basis: engine.LegalBasis | None = None
    purpose: Words | None = None
    name_id: engine.NameIDKind | None = None
    name_id_why: Words | None = None
    notice: engine.Notice | None = None

    @model_validator(mode="after")
    def _has_one_access(self) -> "ReleaseShape":
        if len(self._accesses()) != 1:
            raise ValueError(_ONE_ACCESS)
        return self

    def _accesses(self) -> dict[engine.AccountDemand, Mapping[str, AttributeShape]]:
        every: dict[engine.AccountDemand, AttributeList | None]
        every = {"make": self.make, "need": self.need, "none": self.none}
        return {access: listed for access, listed in every.items() if listed is not None}

    def unstated(self, name: str, place: FilePlace, services: Services) -> Iterator[PolicyProblem]:
        """Yield what neither this entry nor services.yaml states."""
        if name not in services and (self.purpose is None or self.legal_basis is None):
            fix = did_you_mean(name, services) or f"add it to {SERVICES}"
            yield place.line, f"{SERVICES} has no service {name!r}", fix
            return
        reasons = services[name][0].attributes if name in services else {}
        ((access, listed),) = self._accesses().items()
        for attribute, written in listed.items():
            if written.why is None and attribute not in reasons:
                line = place.below(access, attribute).line
                what = f"{SERVICES} has no reason for {attribute} under {name}"
                yield line, what, did_you_mean(attribute, reasons) or "add it there"

    def release(self, name: str, place: FilePlace, services: Services) -> engine.Release:
        """Return the release entry of a service, its attributes with their lines."""
        service, stated = services.get(name) or (self._alone(), place)
        ((access, listed),) = self._accesses().items()
        attributes = (
            written.released(each, service.attributes.get(each), place.below(access, each))
            for each, written in listed.items()
        )
        own = place.lines_of(self.model_fields_set)
        lines = {**stated.lines_of(service.model_fields_set), **own, "borrower": own[access]}
        why = self.name_id_why or service.name_id_why
        return engine.Release(
            service=name,
            borrower=access,
            legal_basis=self.legal_basis or service.legal_basis,
            purpose=(self.purpose or service.purpose).text(),
            name_id=self.name_id or service.name_id,
            attributes=tuple(attributes),
            place=place.line,
            notice=self.notice or service.notice,
            subject=_subject(why, lines.get("name_id_why", place.line)),
            lines=lines,
        )

    def _alone(self) -> ServiceShape:
        """Return the service of an entry that states everything itself."""
        return ServiceShape(purpose=self.purpose, legal_basis=self.legal_basis)


def _subject(why: Words | None, line: engine.PolicyLine) -> engine.ReleasedAttribute | None:
    return engine.ReleasedAttribute(engine.NAME_ID, why.text(), line) if why else None


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
        read = assume_ground(reading).mask_cpr()
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
    affiliation: Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,39}$")]
    precedence: Whole
    label: Words
    owner: OneLineText
    review_by: Day
    match: Annotated[tuple[AlternativeShape, ...], Field(min_length=1)]
    proofs: dict[str, ProofShape] = Field(default_factory=dict)
    require: RequireShape = RequireShape()
    borrower: BorrowerShape | None = None
    exceptions: dict[str, ExceptionShape] = Field(default_factory=dict)
    release: dict[str, ReleaseShape]
    examples: Annotated[tuple[ExampleShape, ...], Field(min_length=1)]

    def unstated(self, file: FilePlace, services: Services) -> Iterator[PolicyProblem]:
        """Yield what the entries need of services.yaml and do not find there."""
        for name, written in self.release.items():
            yield from written.unstated(name, file.below("release", name), services)
        for name, exception in self.exceptions.items():
            place = file.below("exceptions", name)
            yield from exception.unstated(name, place, has_borrower=self.borrower is not None)

    def policy(self, file: FilePlace, services: Services) -> engine.Policy:
        """Return the immutable policy, every rule with the line it stands on in ``file``."""
        alternatives = (
            written.alternative(file.below("match", at)) for at, written in enumerate(self.match)
        )
        releases = (
            written.release(name, file.below("release", name), services)
            for name, written in self.release.items()
        )
        examples = (
            written.example(file.below("examples", at)) for at, written in enumerate(self.examples)
        )
        proofs = (
            written.proof(name, file.below("proofs", name)) for name, written in self.proofs.items()
        )
        usual = engine.Policy(
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
        exceptions = {
            name: written.policy(usual, name, file.below("exceptions", name))
            for name, written in self.exceptions.items()
        }
        return replace(usual, exceptions=exceptions)


def _assurance(level: Level | None) -> Assurance | None:
    if level is None:
        return None
    return Assurance.parse(level)


def services_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/services.schema.json holds it."""
    return schema_of(ServicesShape, _SERVICES)


def json_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/policy.schema.json holds it."""
    return schema_of(PolicyShape, _POLICY)
