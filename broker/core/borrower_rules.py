"""What a policy file says of the borrower that a person of its affiliation becomes."""

from dataclasses import dataclass
from typing import Literal

from broker.core.places import PolicyLine


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
