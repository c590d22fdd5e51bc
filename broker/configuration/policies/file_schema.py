"""The schema of policy files: it validates them and builds the rules of the policy engine.

Each class is one mapping of a file, and has a method that returns the matching class of the engine
(core/policy/model.py). The JSON Schema for editors is generated from the same classes.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from broker.configuration.checked_files import Day, Flag, Shape, Span, Whole, did_you_mean
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.policies.file_checks import PolicyProblem
from broker.configuration.policies.policy_folder import SERVICES
from broker.configuration.policies.value_syntax import (
    PERSONS_OWN,
    CprKind,
    ExpectedDecisionShape,
    ExpiryText,
    FilePlace,
    Level,
    NameList,
    OneLineText,
    Values,
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
from broker.core.login.decision_input import login_facts
from broker.core.policy import model as engine
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import AddressWriting, RegisterRule


def _from_source(written: object) -> object:
    """Expand the short form of a field, which is only its source, to the mapping."""
    return {"from": written} if isinstance(written, str | list) else written


class FieldShape(Shape):
    """The sources of a borrower field, and when it is written."""

    source: Values = Field(alias="from")  # the first source with a value counts
    set: engine.FieldWriting | None = None

    def field(self, name: str, place: FilePlace) -> engine.Field:
        """Return the borrower field; by default email, phone and mobile are set at creation."""
        first, *others = self.source
        usual: engine.FieldWriting = "create" if name in PERSONS_OWN else "always"
        return engine.Field(name, first, self.set or usual, place.line, tuple(others))


class LowersShape(Shape):
    """The categories that a login may lower to this one, and the upstreams of such logins."""

    by: Values
    categories: NameList


class BorrowerShape(Shape):
    """The account that a person of this affiliation gets."""

    category: OneLineText
    upgrades: tuple[OneLineText, ...] = ()
    lowers: LowersShape | None = None
    expires: ExpiryText
    fields: dict[
        str,
        Annotated[
            FieldShape, BeforeValidator(_from_source, json_schema_input_type=Values | FieldShape)
        ],
    ]
    # An alias, because every pydantic model class has a method named "register".
    of_register: AddressWriting | None = Field(None, alias="register")
    pin: engine.PinDelivery = "mail"

    def rule(self, place: FilePlace) -> engine.BorrowerRule:
        """Return the rule."""
        fields = place.below("fields")
        lowers = self.lowers
        return engine.BorrowerRule(
            category=self.category,
            upgrades=self.upgrades,
            expires=self.expires,
            fields=tuple(
                written.field(name, fields.below(name)) for name, written in self.fields.items()
            ),
            pin=self.pin,
            place=place.line,
            lowers=engine.Lowering(lowers.by, lowers.categories) if lowers else None,
            register=RegisterRule(self.of_register) if self.of_register else None,
            lines=place.key_lines(),
        )


# Editors show these sentences about three of the mappings.
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
    """One way to match: all its conditions must hold."""

    __pydantic_extra__: dict[str, Values]
    upstream: Values
    assurance: Level | None = None

    def alternative(self, place: FilePlace) -> engine.Alternative:
        """Return the conditions, each with its line."""
        conditions = {"upstream": self.upstream, **(self.__pydantic_extra__ or {})}
        if self.assurance:
            conditions["assurance"] = (self.assurance,)
        return engine.Alternative(
            tuple(
                engine.Condition(name, values, place.below(name).line)
                for name, values in conditions.items()
            ),
            place.line,
        )


class DomainShape(Shape):
    """A mail domain that proves something until a day, or always."""

    name: OneLineText
    until: Day | None = None


def _from_name(written: object) -> object:
    return {"name": written} if isinstance(written, str) else written


class ProofShape(Shape):
    """A proof that the person reads the mail of an address."""

    domains: Annotated[
        tuple[
            Annotated[
                DomainShape,
                BeforeValidator(_from_name, json_schema_input_type=OneLineText | DomainShape),
            ],
            ...,
        ],
        Field(min_length=1),
    ]
    remembered_for: Span = timedelta(days=365)

    def proof(self, name: str, place: FilePlace) -> engine.ProofRule:
        """Return the proof of this name."""
        listed = place.below("domains")
        lines = {each.name: listed.below(at).line for at, each in enumerate(self.domains)}
        return engine.ProofRule(
            name=name,
            domains=tuple(engine.MailDomain(each.name, each.until) for each in self.domains),
            remembered_for=self.remembered_for,
            place=listed.line,
            lines=lines | place.key_lines(),
        )


class RequireShape(Shape):
    """The requirements for making an account without staff."""

    cpr: Literal["real"] | None = None
    age: Whole | None = None
    assurance: Level | None = None
    upstream: Values = ()  # upstreams whose logins may create an account

    def requirement(self, place: FilePlace) -> engine.Requirement:
        """Return the requirement."""
        return engine.Requirement(
            cpr=self.cpr is not None,
            age=self.age,
            assurance=Assurance.parse(self.assurance) if self.assurance else None,
            place=place.line,
            upstream=self.upstream,
            lines=place.key_lines(),
        )


class ExceptionShape(Shape):
    """The keys that one institution replaces."""

    category: OneLineText | None = None
    upgrades: tuple[OneLineText, ...] | None = None
    expires: ExpiryText | None = None
    require: RequireShape | None = None

    def find_faults(
        self, name: str, place: FilePlace, *, has_borrower: bool
    ) -> Iterator[PolicyProblem]:
        """Yield the faults of an exception: a bad name, no key, or no borrower to override."""
        if not re.fullmatch(find_properties(engine.HOME_ORGANIZATION).pattern or "", name):
            fix = "write the schacHomeOrganization, as via.dk"
            yield place.line, f"{name!r} is no home organisation", fix
        elif not self.model_fields_set:
            yield place.line, "the exception says nothing", "write category, expires or require"
        elif not has_borrower and self.model_fields_set != {"require"}:
            yield place.line, "the file has no borrower section to except from", "add one"

    def policy(self, usual: engine.Policy, name: str, place: FilePlace) -> engine.Policy:
        """Return the policy of the institution ``name``: the usual one with these keys replaced."""
        require, rule = usual.require, usual.borrower
        if self.require:
            of_require = place.below("require")
            own = self.require.requirement(of_require)
            require = _replace_keys(require, own, self.require.model_fields_set, of_require)
        keys = self.model_fields_set - {"require"}
        if rule and keys:
            rule = _replace_keys(rule, self, keys, place)
        return replace(usual, require=require, borrower=rule, institution=name, place=place.line)


_Rule = TypeVar("_Rule", engine.Requirement, engine.BorrowerRule)


def _replace_keys(usual: _Rule, stated: object, keys: Collection[str], place: FilePlace) -> _Rule:
    """Return a rule with the stated values of some keys, and their lines."""
    values = {key: getattr(stated, key) for key in keys}
    lines = {**usual.lines, **place.key_lines()}
    return replace(usual, **values, place=place.line, lines=lines)


class AttributeShape(Shape):
    """One attribute that a service receives, and the reason."""

    why: Words | None = None
    values: Values = ()
    states: Values = ()
    optional: Flag = False

    def attribute(self, name: str, why: Words, place: FilePlace) -> engine.ReleasedAttribute:
        """Return the attribute with its reason."""
        return engine.ReleasedAttribute(
            name=name,
            why=why.text(),
            place=place.line,
            values=self.values,
            states=self.states,
            optional=self.optional,
        )


def _read_list(written: object) -> object:
    """Turn a list of names, each with or without values, into a mapping."""
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


_Attributes = dict[str, AttributeShape]
_OneAttribute = Annotated[dict[str, OneLineText | NameList | AttributeShape], Field(max_length=1)]
AttributeList = Annotated[
    _Attributes,
    BeforeValidator(_read_list, json_schema_input_type=list[OneLineText | _OneAttribute]),
]


class ServiceShape(Shape):
    """The texts and terms of one service, or of the members of an entity category."""

    purpose: Words
    legal_basis: engine.LegalBasis
    name_id: engine.NameIDKind = "persistent"
    name_id_why: Words | None = None  # for email: shown like the reason of an attribute
    notice: engine.Notice = "ours"
    attributes: dict[str, Words] = Field(default_factory=dict)  # reasons by attribute name


Services = Mapping[str, tuple[ServiceShape, FilePlace]]


class ServicesShape(Shape, extra="allow"):
    """The file services.yaml."""

    __pydantic_extra__: dict[str, ServiceShape]

    def services(self, file: FilePlace) -> Services:
        """Return the services by name, each with its place in ``file``."""
        named = (self.__pydantic_extra__ or {}).items()
        return {name: (service, file.below(name)) for name, service in named}


class ReleaseShape(Shape):
    """The release entry of one service or entity category in an affiliation's file.

    One of ``make``, ``need`` and ``none`` lists the attributes. Every other key replaces that of
    services.yaml for this affiliation.
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
        if len([listed for listed in (self.make, self.need, self.none) if listed is not None]) != 1:
            raise ValueError("one of make, need and none must list the attributes that leave")
        return self

    def _access(self) -> tuple[engine.AccountDemand, Mapping[str, AttributeShape]]:
        """Return the key make, need or none, and the attributes that it lists."""
        if self.make is not None:
            return "make", self.make
        if self.need is not None:
            return "need", self.need
        return "none", self.none or {}

    def find_faults(
        self, name: str, place: FilePlace, services: Services
    ) -> Iterator[PolicyProblem]:
        """Yield a fault for each text that is neither in this entry nor in services.yaml."""
        if name not in services and (self.purpose is None or self.legal_basis is None):
            fix = did_you_mean(name, services) or f"add it to {SERVICES}"
            yield place.line, f"{SERVICES} has no service {name!r}", fix
            return
        reasons = services[name][0].attributes if name in services else {}
        access, listed = self._access()
        for attribute, written in listed.items():
            if written.why is None and attribute not in reasons:
                line = place.below(access, attribute).line
                what = f"{SERVICES} has no reason for {attribute} under {name}"
                yield line, what, did_you_mean(attribute, reasons) or "add it there"

    def release(self, name: str, place: FilePlace, services: Services) -> engine.Release:
        """Return the release entry of the service ``name``."""
        service, stated = services.get(name) or (self._make_service(), place)
        access, listed = self._access()
        reasons = {
            each: written.why or service.attributes[each] for each, written in listed.items()
        }
        own = place.key_lines()
        why = self.name_id_why or service.name_id_why
        lines = {**stated.key_lines(), **own, "borrower": own[access]}
        subject = None
        if why:
            line = lines.get("name_id_why", place.line)
            subject = engine.ReleasedAttribute(engine.NAME_ID, why.text(), line)
        return engine.Release(
            service=name,
            borrower=access,
            legal_basis=self.legal_basis or service.legal_basis,
            purpose=(self.purpose or service.purpose).text(),
            name_id=self.name_id or service.name_id,
            attributes=tuple(
                written.attribute(each, reasons[each], place.below(access, each))
                for each, written in listed.items()
            ),
            place=place.line,
            notice=self.notice or service.notice,
            subject=subject,
            lines=lines,
        )

    def _make_service(self) -> ServiceShape:
        """Return a service with the texts of this entry, which needs none of services.yaml."""
        return ServiceShape(purpose=self.purpose, legal_basis=self.legal_basis)


class LoginShape(Shape, extra="allow"):
    """The login of an example: attributes by name, and the kind of CPR number, never a number."""

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
        """Return the facts of the login, without a CPR number."""
        attributes = dict(self.__pydantic_extra__ or {})
        if self.cpr not in {"none", "invalid"}:
            attributes[CPR_ATTRIBUTE] = CPR_STAND_IN
        for name, address in self.proof.items():
            attributes[name] = (address,)
            attributes[f"{name}{PROOF_DOMAIN}"] = (address.rpartition("@")[2],)
        reading = AttributeReading(
            Attributes(attributes),
            Assurance.parse(self.assurance) if self.assurance else None,
            self.cpr,
            self.age,
            verified_address=self.verified_address or min(self.proof.values(), default=None),
        )
        read = assume_ground(reading).mask_cpr()
        facts = login_facts(read, upstream=self.upstream, intent=self.intent)
        return replace(facts, borrower=self.borrower is True)


class ExpectShape(ExpectedDecisionShape):
    """The decision that an example expects; a key that is not written is not checked."""

    effect: Literal["permit", "deny"]


class ExampleShape(Shape):
    """A login, a service, and the expected decision."""

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
    """One file: an affiliation with its matches, account, releases and examples."""

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

    def find_faults(self, file: FilePlace, services: Services) -> Iterator[PolicyProblem]:
        """Yield the faults of release entries against services.yaml, and of exceptions."""
        for name, written in self.release.items():
            yield from written.find_faults(name, file.below("release", name), services)
        for name, exception in self.exceptions.items():
            place = file.below("exceptions", name)
            yield from exception.find_faults(name, place, has_borrower=self.borrower is not None)

    def policy(self, file: FilePlace, services: Services) -> engine.Policy:
        """Return the policy; each rule knows its line in ``file``."""
        match, examples = file.below("match"), file.below("examples")
        proofs, releases = file.below("proofs"), file.below("release")
        usual = engine.Policy(
            file=file.file,
            affiliation=self.affiliation,
            precedence=self.precedence,
            label=self.label.text(),
            owner=self.owner,
            review_by=self.review_by,
            match=tuple(
                written.alternative(match.below(at)) for at, written in enumerate(self.match)
            ),
            proofs=tuple(
                written.proof(name, proofs.below(name)) for name, written in self.proofs.items()
            ),
            require=self.require.requirement(file.below("require")),
            borrower=self.borrower.rule(file.below("borrower")) if self.borrower else None,
            releases=tuple(
                written.release(name, releases.below(name), services)
                for name, written in self.release.items()
            ),
            examples=tuple(
                written.example(examples.below(at)) for at, written in enumerate(self.examples)
            ),
        )
        exceptions = {
            name: written.policy(usual, name, file.below("exceptions", name))
            for name, written in self.exceptions.items()
        }
        return replace(usual, exceptions=exceptions)


def services_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/services.schema.json holds it."""
    return schema_of(ServicesShape, _SERVICES)


def json_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/policy.schema.json holds it."""
    return schema_of(PolicyShape, _POLICY)
