"""The schema of policy files: it validates them and builds the rules of the policy engine.

Each class is one mapping of a file, and has a method that returns the matching class of the engine
(core/policy/model.py). The JSON Schema for editors is generated from the same classes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from broker.configuration.checked_files import Day, Flag, Shape, Span, Whole, did_you_mean
from broker.configuration.editor_schemas import JsonSchema, schema_of
from broker.configuration.policies.file_checks import PERSONS_OWN, PolicyProblem
from broker.configuration.policies.policy_folder import SERVICES
from broker.configuration.policies.value_syntax import (
    CprKind,
    ExpectedDecisionShape,
    ExpiryText,
    Level,
    NameList,
    OneLineText,
    PlacedShape,
    Values,
    expand_short_form,
)
from broker.configuration.strict_yaml import (
    YamlMapping,
    YamlNode,
    YamlSequence,
    YamlText,
    place_node,
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


class FieldShape(PlacedShape):
    """The sources of a borrower field, and when it is written."""

    source: Values = Field(alias="from")  # the first source with a value counts
    set: engine.FieldWriting | None = None

    def field(self, name: str) -> engine.Field:
        """Return the borrower field; by default email, phone and mobile are set at creation."""
        first, *others = self.source
        usual: engine.FieldWriting = "create" if name in PERSONS_OWN else "always"
        return engine.Field(name, first, self.set or usual, self.place, tuple(others))


class LowersShape(Shape):
    """The categories that a login may lower to this one, and the upstreams of such logins."""

    by: Values
    categories: NameList


class BorrowerShape(PlacedShape):
    """The account that a person of this affiliation gets."""

    category: OneLineText
    upgrades: tuple[OneLineText, ...] = ()
    lowers: LowersShape | None = None
    expires: ExpiryText
    fields: dict[
        str,
        Annotated[
            FieldShape,
            BeforeValidator(expand_short_form("from"), json_schema_input_type=Values | FieldShape),
        ],
    ]
    # An alias, because every pydantic model class has a method named "register".
    of_register: AddressWriting | None = Field(None, alias="register")
    pin: engine.PinDelivery = "mail"

    def rule(self) -> engine.BorrowerRule:
        """Return the rule."""
        lowers = self.lowers
        return engine.BorrowerRule(
            category=self.category,
            upgrades=self.upgrades,
            expires=self.expires,
            fields=tuple(written.field(name) for name, written in self.fields.items()),
            pin=self.pin,
            place=self.place,
            lowers=engine.Lowering(lowers.by, lowers.categories) if lowers else None,
            register=RegisterRule(self.of_register) if self.of_register else None,
            lines=self.lines,
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


class AlternativeShape(PlacedShape, extra="allow", json_schema_extra={"description": _ALTERNATIVE}):
    """One way to match: all its conditions must hold."""

    __pydantic_extra__: dict[str, Values]
    upstream: Values
    assurance: Level | None = None

    def alternative(self) -> engine.Alternative:
        """Return the conditions, each with its line."""
        lines = self.lines
        conditions = {"upstream": self.upstream, **(self.__pydantic_extra__ or {})}
        if self.assurance:
            conditions["assurance"] = (self.assurance,)
        return engine.Alternative(
            tuple(
                engine.Condition(name, values, lines[name]) for name, values in conditions.items()
            ),
            self.place,
        )


class DomainShape(PlacedShape):
    """A mail domain that proves something until a day, or always."""

    name: OneLineText
    until: Day | None = None


class ProofShape(PlacedShape):
    """A proof that the person reads the mail of an address."""

    domains: Annotated[
        tuple[
            Annotated[
                DomainShape,
                BeforeValidator(
                    expand_short_form("name"), json_schema_input_type=OneLineText | DomainShape
                ),
            ],
            ...,
        ],
        Field(min_length=1),
    ]
    remembered_for: Span = timedelta(days=365)

    def proof(self, name: str) -> engine.ProofRule:
        """Return the proof of this name."""
        return engine.ProofRule(
            name=name,
            domains=tuple(engine.MailDomain(each.name, each.until) for each in self.domains),
            remembered_for=self.remembered_for,
            place=self.place,
            lines=self.lines,
        )


class RequireShape(PlacedShape):
    """The requirements for making an account without staff."""

    cpr: Literal["real"] | None = None
    age: Whole | None = None
    assurance: Level | None = None
    upstream: Values = ()  # upstreams whose logins may create an account

    def requirement(self) -> engine.Requirement:
        """Return the requirement."""
        return engine.Requirement(
            cpr=self.cpr is not None,
            age=self.age,
            assurance=Assurance.parse(self.assurance) if self.assurance else None,
            place=self.place,
            upstream=self.upstream,
            lines=self.lines,
        )


class ExceptionShape(PlacedShape):
    """The keys that one institution replaces."""

    category: OneLineText | None = None
    upgrades: tuple[OneLineText, ...] | None = None
    expires: ExpiryText | None = None
    require: RequireShape | None = None

    def find_faults(self, name: str, *, has_borrower: bool) -> Iterator[PolicyProblem]:
        """Yield the faults of an exception: a bad name, no key, or no borrower to override."""
        if not re.fullmatch(find_properties(engine.HOME_ORGANIZATION).pattern or "", name):
            fix = "write the schacHomeOrganization, as via.dk"
            yield self.place, f"{name!r} is no home organisation", fix
        elif not self.model_fields_set:
            yield self.place, "the exception says nothing", "write category, expires or require"
        elif not has_borrower and self.model_fields_set != {"require"}:
            yield self.place, "the file has no borrower section to except from", "add one"


class AttributeShape(PlacedShape):
    """One attribute that a service receives, and the reason."""

    why: Words | None = None
    values: Values = ()
    states: Values = ()
    optional: Flag = False

    def attribute(self, name: str, why: Words) -> engine.ReleasedAttribute:
        """Return the attribute with its reason."""
        return engine.ReleasedAttribute(
            name=name,
            why=why.text(),
            place=self.place,
            values=self.values,
            states=self.states,
            optional=self.optional,
        )


def _read_list(written: object) -> object:
    """Turn a list of names, each with or without values, into a mapping."""
    if not isinstance(written, YamlSequence):
        raise ValueError("must be a list: write [one, another]")  # noqa: TRY004 - pydantic's
    found: dict[str, object] = {}
    more: YamlNode
    for item in written:
        if isinstance(item, YamlText):
            name, more = str(item), place_node(YamlMapping(), item.line)
        elif isinstance(item, YamlMapping) and len(item) == 1:
            ((name, more),) = item.items()
        else:
            raise ValueError("each item must be a name, or name: values")
        if name in found:
            raise ValueError(f"{name} is listed twice")
        found[name] = expand_short_form("values")(more)
    return found


_Attributes = dict[str, AttributeShape]
_OneAttribute = Annotated[dict[str, OneLineText | NameList | AttributeShape], Field(max_length=1)]
AttributeList = Annotated[
    _Attributes,
    BeforeValidator(_read_list, json_schema_input_type=list[OneLineText | _OneAttribute]),
]


class ServiceShape(PlacedShape):
    """The texts and terms of one service, or of the members of an entity category."""

    purpose: Words
    legal_basis: engine.LegalBasis
    name_id: engine.NameIDKind = "persistent"
    name_id_why: Words | None = None  # for email: shown like the reason of an attribute
    notice: engine.Notice = "ours"
    attributes: dict[str, Words] = Field(default_factory=dict)  # reasons by attribute name


Services = Mapping[str, ServiceShape]


class ServicesShape(Shape, extra="allow"):
    """The file services.yaml."""

    __pydantic_extra__: dict[str, ServiceShape]

    @property
    def services(self) -> Services:
        """Return the services by name."""
        return self.__pydantic_extra__ or {}


_ACCESS: Final[frozenset[engine.AccountDemand]] = frozenset(get_args(engine.AccountDemand))


class ReleaseShape(PlacedShape):
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
        if len(_ACCESS & self.model_fields_set) != 1:
            raise ValueError("one of make, need and none must list the attributes that leave")
        return self

    def _access(self) -> tuple[engine.AccountDemand, Mapping[str, AttributeShape]]:
        """Return the key make, need or none, and the attributes that it lists."""
        (access,) = _ACCESS & self.model_fields_set
        return access, getattr(self, access)

    def find_faults(self, name: str, services: Services) -> Iterator[PolicyProblem]:
        """Yield a fault for each text that is neither in this entry nor in services.yaml."""
        if name not in services and (self.purpose is None or self.legal_basis is None):
            fix = did_you_mean(name, services) or f"add it to {SERVICES}"
            yield self.place, f"{SERVICES} has no service {name!r}", fix
            return
        reasons = services[name].attributes if name in services else {}
        for attribute, written in self._access()[1].items():
            if written.why is None and attribute not in reasons:
                what = f"{SERVICES} has no reason for {attribute} under {name}"
                yield written.place, what, did_you_mean(attribute, reasons) or "add it there"

    def release(self, name: str, services: Services) -> engine.Release:
        """Return the release entry of the service ``name``."""
        stated = services.get(name) or ServiceShape(
            purpose=self.purpose, legal_basis=self.legal_basis
        )
        service = stated.override(self)
        access, listed = self._access()
        lines = {**stated.lines, **self.lines, "borrower": self.lines[access]}
        subject = None
        if why := service.name_id_why:
            line = lines["name_id_why"]
            subject = engine.ReleasedAttribute(engine.NAME_ID, why.text(), line)
        return engine.Release(
            service=name,
            borrower=access,
            legal_basis=service.legal_basis,
            purpose=service.purpose.text(),
            name_id=service.name_id,
            attributes=tuple(
                written.attribute(each, written.why or service.attributes[each])
                for each, written in listed.items()
            ),
            place=self.place,
            notice=service.notice,
            subject=subject,
            lines=lines,
        )


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


class ExampleShape(PlacedShape):
    """A login, a service, and the expected decision."""

    name: OneLineText
    login: LoginShape
    service: OneLineText
    expect: ExpectShape

    def example(self) -> engine.Example:
        """Return the example."""
        return engine.Example(
            name=self.name,
            login=self.login.facts(),
            service=self.service,
            expect=self.expect.expectation(),
            place=self.place,
            day=self.login.day,
        )


class PolicyShape(PlacedShape):
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

    def find_faults(self, services: Services) -> Iterator[PolicyProblem]:
        """Yield the faults of release entries against services.yaml, and of exceptions."""
        for name, written in self.release.items():
            yield from written.find_faults(name, services)
        for name, exception in self.exceptions.items():
            yield from exception.find_faults(name, has_borrower=self.borrower is not None)

    def policy(self, services: Services) -> engine.Policy:
        """Return the policy; each rule knows its line."""
        usual = engine.Policy(
            file=self.place.file,
            affiliation=self.affiliation,
            precedence=self.precedence,
            label=self.label.text(),
            owner=self.owner,
            review_by=self.review_by,
            match=tuple(written.alternative() for written in self.match),
            proofs=tuple(written.proof(name) for name, written in self.proofs.items()),
            require=self.require.requirement(),
            borrower=self.borrower.rule() if self.borrower else None,
            releases=tuple(
                written.release(name, services) for name, written in self.release.items()
            ),
            examples=tuple(written.example() for written in self.examples),
        )
        exceptions = {
            name: self._make_exception(usual, name, written)
            for name, written in self.exceptions.items()
        }
        return replace(usual, exceptions=exceptions)

    def _make_exception(
        self, usual: engine.Policy, name: str, written: ExceptionShape
    ) -> engine.Policy:
        """Return the policy of the institution ``name``: the usual one with its keys replaced."""
        return replace(
            usual,
            require=self.require.override(written.require or RequireShape()).requirement(),
            borrower=self.borrower.override(written).rule() if self.borrower else None,
            institution=name,
            place=written.place,
        )


def services_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/services.schema.json holds it."""
    return schema_of(ServicesShape, _SERVICES)


def json_schema() -> JsonSchema:
    """Return the JSON Schema for editors, as policies/policy.schema.json holds it."""
    return schema_of(PolicyShape, _POLICY)
