"""Whether a CPR number or a cprUuid may lead to a borrower: by its kind, never by its value."""

from typing import Final

from broker.core.entities import Assurance
from broker.core.policy.model import Decision

_REAL: Final = "real"
_NOT_REAL: Final = {"replacement": "replacement_number", "constructed": "constructed_number"}


def cpr_leads(decision: Decision, kind: str) -> bool:
    """Return whether a CPR number of this kind finds a borrower, to show it or lower its category.

    It must be a real one, whatever a policy file forgets to require, of a person who is neither
    self-asserted nor an affiliate alone (docs/reference/design.md#find-by-cpr).
    """
    return kind == _REAL and decision.may_find_by_cpr


def uuid_leads(decision: Decision, assurance: Assurance | None) -> bool:
    """Return whether a cprUuid, the register's own name for the person, stands for their number.

    Not below substantial, nor where no number would find a borrower either.
    """
    return decision.may_find_by_cpr and is_sure(assurance)


def is_sure(assurance: Assurance | None) -> bool:
    """Return whether an assurance is substantial at least."""
    return assurance is not None and assurance >= Assurance.SUBSTANTIAL


def without_number(kind: str) -> str:
    """Return the reason of a login that leads to no borrower, for want of a CPR number."""
    return _NOT_REAL.get(kind, "cpr_required")
