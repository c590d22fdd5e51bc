"""The values of the policy engine: policies, the facts of a login, and the decision."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Final, Literal

from broker.core.entities import (
    EMAIL,
    PERSISTENT,
    TRANSIENT,
    Assurance,
    Controller,
    Names,
    Service,
    Text,
)
from broker.core.errors import Fault
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.canonical_attributes import Attributes, Values
from broker.core.identity.rights import Ground, Right, has_right
from broker.core.policy.expiry import Expiry

# The keywords of a policy file; file_schema.py reads them from here.
AddressWriting = Literal["never", "set_if_empty", "always"]


@dataclass(frozen=True, slots=True)
class RegisterRule:
    """The rule by which the register's address is written to the borrower.

    Source: docs/person-register.md.
    """

    address: AddressWriting = "never"


@dataclass(frozen=True, slots=True)
class Expectation:
    """The result that an example or a site rule expects of a login.

    A field that is None, or an empty ``effect``, is not checked. The attributes in
    ``never_releases`` must not leave.
    """

    effect: str
    reason: str | None = None
    category: str | None = None
    releases: Names | None = None
    affiliation: str | None = None
    no_borrower: bool = False  # no account is made
    never_releases: Names = ()


# The keywords of a policy file; file_schema.py reads them from here.
LegalBasis = Literal["consent", "public_task", "legal_obligation", "contract"]
AccountDemand = Literal["make", "need", "none"]
NameIDKind = Literal["persistent", "transient", "email"]
HOME_ORGANIZATION: Final = "schacHomeOrganization"
NAME_ID: Final = "name_id"  # the listed name of a NameID that is a mail address
_FORMATS: Final[Mapping[NameIDKind, str]] = {
    "persistent": PERSISTENT,
    "transient": TRANSIENT,
    "email": EMAIL,
}
Notice = Literal["ours", "upstream"]  # whose page informs the person
FieldWriting = Literal["create", "if_empty", "always"]
PinDelivery = Literal["mail", "none"]


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A line of a policy file. Rules are equal if they say the same, on whatever lines."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return ``student.yaml:11``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRule:
    """A rule of a policy file: its line, and the lines of its keys, if they are known."""

    place: PolicyLine = field(default=PolicyLine("", 1), compare=False)
    lines: Mapping[str, PolicyLine] = field(default_factory=dict, compare=False, repr=False)

    def line_of(self, key: str) -> PolicyLine:
        """Return the line of one key; without one, the line of the whole rule."""
        return self.lines.get(key, self.place)


@dataclass(frozen=True, slots=True)
class Field:
    """One borrower field: the sources of its value, and when it is written.

    A source is an attribute's canonical name or "proof.<name>". The sources ``otherwise`` are used
    if the first one has no value.
    """

    name: str
    source: str
    set: FieldWriting
    place: PolicyLine = field(compare=False)
    otherwise: Names = ()

    @property
    def sources(self) -> Names:
        """Return all sources, the first choice first."""
        return (self.source, *self.otherwise)


@dataclass(frozen=True, slots=True)
class Lowering:
    """The borrower categories that a login may lower to the category of the rule.

    Only a login by an upstream in ``by`` does so.
    Only an institution that had the person as a member can assert that they have left: the
    university can, a national eID cannot.

    Source: docs/reference/requirements.md#r47.
    """

    by: Names
    categories: Names


@dataclass(frozen=True, slots=True)
class BorrowerRule(PlacedRule):
    """The borrower that a person of this affiliation becomes."""

    category: str
    upgrades: Names
    expires: Expiry
    fields: tuple[Field, ...]
    pin: PinDelivery
    lowers: Lowering | None = None
    register: RegisterRule | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of an alternative: ``name`` has one of ``values``.

    The name is an attribute's, "upstream" or "assurance". A value is exact or ends in ``*``; for
    "assurance" the single value is the least level. A condition that cannot be evaluated does not
    match.
    """

    name: str
    values: Values
    place: PolicyLine = field(compare=False)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to match a policy: all conditions must hold."""

    conditions: tuple[Condition, ...]
    place: PolicyLine = field(compare=False)

    @property
    def values(self) -> Mapping[str, Values]:
        """Return the values of the conditions by their names."""
        return {each.name: each.values for each in self.conditions}


@dataclass(frozen=True, slots=True)
class MailDomain:
    """A mail domain that proves an affiliation, up to and including ``until`` if it is set."""

    name: str
    until: date | None = None

    def proves_on(self, day: date) -> bool:
        """Return whether a mailbox in this domain still proves something on ``day``."""
        return self.until is None or day <= self.until


@dataclass(frozen=True, slots=True)
class ProofRule(PlacedRule):
    """The proof of a mailbox in one of ``domains``, and how long the proof is valid."""

    name: str
    domains: tuple[MailDomain, ...]
    remembered_for: timedelta


@dataclass(frozen=True, slots=True)
class Requirement(PlacedRule):
    """The requirements of self-service enrolment. A page names another way if one is not met.

    ``upstream`` are the upstreams by which an account is made; empty means all.
    """

    cpr: bool = False  # a real number
    age: int | None = None
    assurance: Assurance | None = None
    upstream: Names = ()


@dataclass(frozen=True, slots=True)
class ReleasedAttribute:
    """One attribute of a release entry: which values, why, and how it is shown.

    ``states`` are values that the broker states about every person, whatever the login asserts.
    """

    name: str
    why: Text
    place: PolicyLine = field(compare=False)
    values: Values = ()  # empty means all values
    optional: bool = False
    states: Values = ()


@dataclass(frozen=True, slots=True)
class Release(PlacedRule):
    """The release entry of one service (a name of broker.toml) or entity category.

    It has the attributes, the legal basis and the purpose. If the NameID is a mail address,
    ``subject`` describes it like an attribute, with its reason.
    """

    service: str
    borrower: AccountDemand
    legal_basis: LegalBasis
    purpose: Text
    name_id: NameIDKind
    attributes: tuple[ReleasedAttribute, ...]
    notice: Notice = "ours"
    subject: ReleasedAttribute | None = None

    @property
    def name_id_format(self) -> str:
        """Return the SAML format URI of the NameID that the service gets."""
        return _FORMATS[self.name_id]


@dataclass(frozen=True, slots=True)
class Example:
    """A login and its expected decision. It runs at every load, as if on ``day`` if that is set."""

    name: str
    login: "LoginFacts"
    service: str
    expect: Expectation
    place: PolicyLine
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One affiliation's file.

    ``exceptions`` are the policies of single institutions, by the home organisation that a login
    asserts. An exception is this policy with a few keys replaced, and has the ``institution`` and
    the ``place`` of its entry.
    """

    file: str
    affiliation: str
    precedence: int
    label: Text
    owner: str
    review_by: date
    match: tuple[Alternative, ...]
    proofs: tuple[ProofRule, ...]
    require: Requirement
    borrower: BorrowerRule | None
    releases: tuple[Release, ...]
    examples: tuple[Example, ...] = ()
    exceptions: Mapping[str, "Policy"] = field(default_factory=dict)
    institution: str = ""
    place: PolicyLine | None = field(default=None, compare=False)

    @property
    def variants(self) -> "tuple[Policy, ...]":
        """Return the policy and those of its exceptions."""
        return (self, *self.exceptions.values())

    @property
    def conditions(self) -> Iterator[Condition]:
        """Yield the conditions of all alternatives, and of the exceptions."""
        for alternative in self.match:
            yield from alternative.conditions
        yield from self.institution_conditions

    @property
    def institution_conditions(self) -> Iterator[Condition]:
        """Yield the condition of each exception."""
        for name, variant in self.exceptions.items():
            yield Condition(HOME_ORGANIZATION, (name,), variant.place or PolicyLine(self.file, 1))

    def for_institution(self, attributes: Attributes) -> "Policy":
        """Return the exception for the home organisation of a login, else the policy itself."""
        for name in attributes.get(HOME_ORGANIZATION, ()):
            if name in self.exceptions:
                return self.exceptions[name]
        return self


# Alternatives without any exact condition are indexed under this one.
ANY_LOGIN: Final = Condition("", ("",), PolicyLine("", 1))


# The conditions that are about no attribute.
NO_ATTRIBUTES: Final = frozenset({"upstream", "assurance"})


def _is_exact(condition: Condition) -> bool:
    """Return whether a login must have one of the values: none is a least level or a prefix."""
    return condition.name != "assurance" and not any("*" in each for each in condition.values)


@dataclass(frozen=True)
class PolicySet:
    """The policies in force together, highest precedence first.

    Every decision names ``digest``, the SHA-256 of the files.
    """

    policies: tuple[Policy, ...]
    digest: str
    warnings: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        ordered = sorted(self.policies, key=lambda policy: -policy.precedence)
        object.__setattr__(self, "policies", tuple(ordered))

    @property
    def conditions(self) -> Iterator[Condition]:
        """Yield the conditions of all policies."""
        for policy in self.policies:
            yield from policy.conditions

    @property
    def releases(self) -> Iterator[Release]:
        """Yield the release entries of all policies."""
        for policy in self.policies:
            yield from policy.releases

    def find_condition_values(self, name: str) -> Names:
        """Return the values that conditions on ``name`` have, without duplicates."""
        named = (each.values for each in self.conditions if each.name == name)
        return tuple(dict.fromkeys(chain.from_iterable(named)))

    @cached_property
    def policy_by_affiliation(self) -> Mapping[str, Policy]:
        """The policies by affiliation."""
        # A load refuses two files of one affiliation. Here the higher precedence counts.
        return {policy.affiliation: policy for policy in reversed(self.policies)}

    @cached_property
    def index(self) -> Mapping[tuple[str, str], set[int]]:
        """The positions of policies by name and value of a condition that a login must meet.

        Each alternative is under its last exact condition, because the first one is mostly an
        upstream of many alternatives. Without an exact condition it is under ANY_LOGIN.
        """
        positions: dict[tuple[str, str], set[int]] = defaultdict(set)
        for position, policy in enumerate(self.policies):
            for alternative in policy.match:
                exact = filter(_is_exact, reversed(alternative.conditions))
                condition = next(exact, ANY_LOGIN)
                for value in condition.values:
                    positions[condition.name, value].add(position)
        return positions

    @cached_property
    def provable(self) -> frozenset[str]:
        """The upstreams at which a mailbox proof can change the decision."""
        upstreams: set[str] = set()
        for alternative in chain.from_iterable(policy.match for policy in self.policies):
            values = alternative.values
            if any(name.endswith("_domain") for name in values):
                upstreams.update(values.get("upstream", ()))
        return frozenset(upstreams)

    @cached_property
    def affiliation_names(self) -> frozenset[str]:
        """The affiliations that a match or a release names exactly."""
        written: list[Condition | ReleasedAttribute] = []
        for policy in self.policies:
            written += chain.from_iterable(each.conditions for each in policy.match)
        written += chain.from_iterable(each.attributes for each in self.releases)
        named = chain.from_iterable(each.values for each in written if each.name in AFFILIATIONS)
        return frozenset(value for value in named if not value.endswith("*"))

    @cached_property
    def name_id_formats(self) -> Mapping[str, frozenset[str]]:
        """The NameID formats by service or entity category."""
        formats: dict[str, frozenset[str]] = {}
        for release in self.releases:
            before = formats.get(release.service, frozenset())
            formats[release.service] = before | {release.name_id_format}
        return formats


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """The facts of a login that a policy may look at.

    ``cpr`` is the kind of number: "real", "replacement", "constructed", "invalid" or "none". For a
    usable number ``attributes`` hold a stand-in, never the number. ``ground`` is the proof of
    identity. ``borrower`` says whether the person has a borrower (None: not looked up yet).
    ``withheld`` holds the reason code of each attribute that is not trusted.
    """

    upstream: str
    attributes: Attributes
    assurance: Assurance | None
    cpr: str = "none"
    age: int | None = None
    intent: str | None = None
    borrower: bool | None = None
    withheld: Mapping[str, str] = field(default_factory=dict)
    verified_address: str | None = field(default=None, repr=False)  # shown to be the person's
    ground: Ground = Ground.NOTHING


class Effect(StrEnum):
    """The effect of a decision."""

    PERMIT = "permit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable reason code and the line that caused it, if a line did."""

    code: str
    place: PolicyLine | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """The result for one attribute: a code such as released, not_listed or value_not_allowed."""

    name: str
    code: str
    place: PolicyLine | None = None


# A listed attribute with the values of it that may leave.
ReleasedValues = tuple[ReleasedAttribute, Values]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision: effect, affiliation, the deciding release entry, and every attribute's fate.

    ``released`` holds the attributes with the values that may leave, in the order of the file,
    before renaming; ``borrower_number`` is listed with no value until the borrower is known, a CPR
    number with its stand-in until it is disclosed. ``ground`` is the login's proof of identity,
    from which the rights follow (``core/identity/rights.py``). The policies may permit less:
    ``permits_creation`` is True if the login meets all requirements for a new borrower, and
    ``permits_lowering`` if it shows that the person has left a category. ``alternative`` is the one
    of ``policy`` that the login meets.
    """

    effect: Effect
    reasons: tuple[Reason, ...]
    affiliation: str | None = None
    policy: Policy | None = None
    release: Release | None = None
    # values are personal
    released: tuple[ReleasedValues, ...] = field(default=(), repr=False)
    fates: tuple[Fate, ...] = ()
    digest: str = ""
    mismatch: str | None = None  # the intent that the assertion did not confirm
    ground: Ground = Ground.NOTHING
    permits_creation: bool = False
    permits_lowering: bool = False
    alternative: Alternative | None = None

    def has(self, right: Right) -> bool:
        """Return whether the login has the right, as far as the proof of identity goes."""
        return has_right(self.ground, right)

    @property
    def deciding_line(self) -> PolicyLine | None:
        """Return the line that decided; None if no policy matched the person."""
        return self.reasons[0].place if self.reasons else None

    @property
    def near_misses(self) -> tuple[Reason, ...]:
        """Return the conditions that came nearest, if no policy matches the person."""
        if self.affiliation is not None:
            return ()
        return self.reasons[1:]


def ideal_service(name: str, methods: Names = ()) -> Service:
    """Return a service that withholds nothing: it has a controller, a key and a scope.

    A name with a colon is the URI of an entity category.
    """
    category = (name,) if ":" in name else ()
    unread = Text(name, name)  # no rule reads the name of a service or controller
    return Service(
        name,
        name,
        unread,
        methods,
        controller=Controller(unread),
        categories=category,
        encrypts=True,
        scope="library.example",
    )
