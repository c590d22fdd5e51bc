"""Who a person is to the library and what a service may get: one pure decision that explains itself.

Where in the policy files something stands.

What a policy file says of the borrower that a person of its affiliation becomes.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal

from broker.core.entities import Assurance, Text
from broker.core.errors import Fault
from broker.core.identity.attributes import Attributes
from broker.core.policy.condition_index import ConditionIndex


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A line of a policy file."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return ``student.yaml:12``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Field:
    """One borrower field: where its value comes from, where else if there is none, and when it is written."""

    name: str
    source: str  # an attribute's canonical name or "proof.<name>"
    set: Literal["create", "if_empty", "always"]
    place: PolicyLine
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lowering:
    """Which categories a login by one of the upstreams ``by`` may lower to the rule's own (wizard.md R47).

    Only who knows the person as a member can say that they no longer are one: the university, never
    a national eID.
    """

    by: tuple[str, ...]
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BorrowerRule:
    """What borrower a person of this affiliation becomes.

    ``temporary`` are the categories of borrowers without a CPR that become this one when the CPR
    arrives.
    """

    find_by: tuple[str, ...]
    category: str
    upgrades: tuple[str, ...]
    expires_after_months: int
    fields: tuple[Field, ...]
    pin: Literal["mail", "none"]
    place: PolicyLine
    lowers: Lowering | None = None
    temporary: tuple[str, ...] = ()


LegalBasis = Literal["consent", "public_task", "legal_obligation", "contract"]
AccountDemand = Literal["make", "need", "none"]
NameIDKind = Literal["persistent", "transient"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of an alternative: ``name`` (an attribute, "upstream" or "assurance") has one of ``values``.

    A value is exact or ends in ``*``; for "assurance" the single value is the least level. A
    condition that cannot be evaluated does not match.
    """

    name: str
    values: tuple[str, ...]
    place: PolicyLine


@dataclass(frozen=True, slots=True)
class Alternative:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]
    place: PolicyLine


@dataclass(frozen=True, slots=True)
class MailDomain:
    """A domain in which a mailbox proves something, if need be only until a day."""

    name: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class ProofRule:
    """What a mailbox in one of ``domains`` proves, and for how long."""

    name: str
    domains: tuple[MailDomain, ...]
    code_valid_for: timedelta
    remembered_for: timedelta


@dataclass(frozen=True, slots=True)
class Requirement:
    """What self-service enrolment needs of the person; unmet, the person is told where to go instead.

    ``upstream`` are the ways to log in by which an account is made; any, where none is named.
    """

    cpr: bool = False  # a real number
    age: int | None = None
    assurance: Assurance | None = None
    place: PolicyLine | None = None
    upstream: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleasedAttribute:
    """One attribute of a release entry: which values, why, and how it is shown."""

    name: str
    why: Text
    place: PolicyLine
    values: tuple[str, ...] = ()  # empty means all values
    mask: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """What one service (a name of broker.toml) or entity category gets, on which legal basis, for which purpose."""

    service: str
    borrower: AccountDemand
    legal_basis: LegalBasis
    purpose: Text
    name_id: NameIDKind
    attributes: tuple[ReleasedAttribute, ...]
    place: PolicyLine
    notice: Literal["ours", "upstream"] = "ours"


@dataclass(frozen=True, slots=True)
class Example:
    """A login and what must come of it, run at every load."""

    name: str
    login: "LoginFacts"
    service: str
    expect: "Expectation"
    place: PolicyLine


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an example promises; what it does not mention is not checked."""

    effect: str
    reason: str | None = None
    category: str | None = None
    releases: tuple[str, ...] | None = None
    affiliation: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One affiliation's file."""

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


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All files, highest precedence first, the SHA-256 that every decision names, and warnings that stop nothing."""

    policies: tuple[Policy, ...]
    digest: str
    warnings: tuple[Fault, ...] = ()
    index: ConditionIndex = field(init=False, repr=False, compare=False)
    provable: frozenset[str] = field(
        init=False, repr=False, compare=False
    )  # upstreams where a proof can matter

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.policies, key=lambda each: -each.precedence))
        object.__setattr__(self, "policies", ordered)
        matches = [
            [
                [(c.name, c.values) for c in each.conditions if c.name != "assurance"]
                for each in policy.match
            ]
            for policy in ordered
        ]
        object.__setattr__(self, "index", ConditionIndex.of(matches))
        proving = (
            dict(conditions)
            for policy in matches
            for conditions in policy
            if any(name.endswith("_domain") for name, _ in conditions)
        )
        object.__setattr__(
            self,
            "provable",
            frozenset(name for each in proving for name in each.get("upstream", ())),
        )


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """All that a policy may look at: how the person came, what is known, what they meant to be.

    ``cpr`` is the kind of number the person has ("real", "replacement", "constructed", "invalid" or
    "none"), ``borrower`` whether the person's borrower is known (None: not looked up yet),
    ``withheld`` what a fault kept back.
    """

    upstream: str
    attributes: Attributes
    assurance: Assurance | None
    cpr: str = "none"
    age: int | None = None
    intent: str | None = None
    borrower: bool | None = None
    withheld: frozenset[str] = frozenset()


class Effect(StrEnum):
    """What the policies say."""

    PERMIT = "permit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable code and the line it rests on, if it rests on one."""

    code: str
    place: PolicyLine | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one attribute, with a reason code (released, not_listed, value_not_allowed, ...)."""

    name: str
    code: str
    place: PolicyLine | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer: effect, who the person is, the release entry that decided, and each attribute's fate.

    ``released`` holds the attributes with the values that may leave, in the order of the file,
    before renaming; ``borrower_number`` is listed with no value until the borrower is known.
    ``may_find_by_cpr`` is False where the person is self-asserted or no member of the house: such a
    person finds no borrower by CPR (design 5). ``may_create`` says that all is met which enrolling
    by oneself needs, ``may_lower`` that the login came by a way which may lower a category, that no
    policy of higher precedence matched it, and that no affiliation was withheld.
    """

    effect: Effect
    reasons: tuple[Reason, ...]
    affiliation: str | None = None
    policy: Policy | None = None
    release: Release | None = None
    released: tuple[tuple[ReleasedAttribute, tuple[str, ...]], ...] = field(
        default=(), repr=False
    )  # values are personal
    fates: tuple[Fate, ...] = ()
    digest: str = ""
    mismatch: str | None = None  # the intent that the assertion did not bear out
    may_find_by_cpr: bool = False
    may_create: bool = False
    may_lower: bool = False
