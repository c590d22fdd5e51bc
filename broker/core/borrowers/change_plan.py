"""The change that makes a borrower as it is wanted."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import CaseReason, EnrolmentOutcome
from broker.core.borrowers.matching import PersonFacts, is_this_persons
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """A change of one borrower: these fields, and category, expiry and CPR number unless None.

    The connector also gives the borrower a card number, if it has none.
    """

    number: str
    fields: tuple[tuple[str, str], ...]
    category: str | None = None
    expires: date | None = None
    cpr: str | None = None


_RENEW_BELOW_DAYS: Final = 180


def find_case_reason(
    found: tuple[Borrower, ...], person: PersonFacts, cpr_number: str
) -> CaseReason | None:
    """Return why the borrowers with a CPR number are a case; None if there is no reason."""
    if len(found) > 1:
        return CaseReason.SEVERAL_BORROWERS
    if found and not is_this_persons(person, found[0], cpr_number):
        return CaseReason.DIFFERENT_PERSON
    return None


def plan_change(borrower: Borrower, wanted: WantedBorrower, today: date) -> Change | None:
    """Return the change of this person's borrower; None if it is as ``wanted`` already.

    The expiry only moves to a later day. A login moves it if its policy has the borrower's present
    category, or gives the borrower its own. The connector adds a missing card number.
    """
    has_moved = wanted.moves(borrower.category)
    fields = _fields(borrower, wanted)
    if has_moved:
        is_later = borrower.expires is None or borrower.expires < wanted.expires
    else:
        is_same = borrower.category == wanted.category
        is_later = is_same and _expires_soon(borrower.expires, wanted.expires, today)
    lacks_card = borrower.card is None and wanted.can_write
    if not (has_moved or is_later or fields or lacks_card):
        return None
    return Change(
        borrower.number,
        fields,
        category=wanted.category if has_moved else None,
        expires=wanted.expires if is_later else None,
    )


def _fields(borrower: Borrower, wanted: WantedBorrower) -> tuple[tuple[str, str], ...]:
    return tuple(
        (field.name, field.value)
        for field in wanted.fields
        if _is_written(field, borrower.fields.get(field.name))
    )


def _is_written(field: WantedField, present: str | None) -> bool:
    if field.set == "always":
        return present != field.value
    return field.set == "if_empty" and not present


def _expires_soon(present: date | None, wanted: date, today: date) -> bool:
    # No expiry is none to move, and a login never brings one nearer.
    if present is None or present >= wanted:
        return False
    # Half a year, or half a short term: a write at every login would cost more than it is worth.
    days_left = (present - today).days
    half_term = (wanted - today).days // 2
    return days_left < min(_RENEW_BELOW_DAYS, half_term)


def describe_outcome(
    borrower: Borrower, change: Change | None, wanted: WantedBorrower
) -> EnrolmentOutcome:
    """Return what ``change`` did to the ``borrower`` as it was before."""
    if change is None:
        return EnrolmentOutcome.UNCHANGED
    if change.category is None:
        return EnrolmentOutcome.UPDATED
    if wanted.upgrades_from(borrower.category):
        return EnrolmentOutcome.UPGRADED
    return EnrolmentOutcome.LOWERED
