"""The one change between the borrower that is there and the one that is wanted."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final, assert_never

from broker.core.borrowers.borrower import Borrower, numbers
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome
from broker.core.borrowers.matching import PersonFacts, has_surname, is_this_persons
from broker.core.borrowers.wanted_borrower import Wish, WishedField
from broker.core.entities import Names


@dataclass(frozen=True, slots=True)
class Nothing:
    """The borrower is already as wanted."""

    number: str


@dataclass(frozen=True, slots=True, repr=False)
class Create:
    """No borrower is there: make one with these fields."""

    wish: Wish


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """A borrower is there: set these fields, and category, expiry, CPR and mark unless None."""

    number: str
    fields: tuple[tuple[str, str], ...]
    category: str | None = None
    expires: date | None = None
    cpr: str | None = None
    mark: str | None = None

    def __repr__(self) -> str:
        """Show number and category only."""
        return f"Change({self.number!r}, {self.category!r})"


@dataclass(frozen=True, slots=True)
class Case:
    """Nothing may be changed automatically; staff get it listed under ``reason``.

    ``borrowers`` are the numbers of those that it is about.
    """

    reason: str
    borrowers: Names = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """No borrower is there, and none may be made: the person must enrol anew."""


Plan = Nothing | Create | Change | Case | Gone


_RENEW_BELOW_DAYS: Final = 180


def plan(
    found: tuple[Borrower, ...], wish: Wish, today: date, temporary: Borrower | None = None
) -> Plan:
    """Return the change after which exactly one borrower is as ``wish`` has it.

    ``found`` are all borrowers that match the CPR, ``temporary`` the borrower that
    ``wish.temporary`` names, None where it is gone. Two matches, one that is not this person's, or
    a temporary borrower beside the CPR's own is a Case.

    Source: docs/reference/design.md#invariant-6.
    """
    reason = find_case_reason(found, wish.person, wish.cpr or "")
    if reason:
        return Case(reason, numbers(found))
    return plan_for_matching(found, wish, today, temporary)


def plan_for_matching(
    found: tuple[Borrower, ...], wish: Wish, today: date, temporary: Borrower | None = None
) -> Plan:
    """Return the plan for borrowers that are known to be this person's: one, or none."""
    if not found:
        return _without_borrower(wish, temporary)
    if wish.temporary and temporary and temporary.number != found[0].number:
        return Case("temporary_and_cpr", numbers((found[0], temporary)))
    return _change(found[0], wish, today)


def find_case_reason(
    found: tuple[Borrower, ...], person: PersonFacts, cpr_number: str
) -> str | None:
    """Return why the borrowers found by a CPR number are a case; None for none or the person's."""
    if len(found) > 1:
        return "several_borrowers"
    if found and not is_this_persons(person, found[0], cpr_number):
        return "different_person"
    return None


def _without_borrower(wish: Wish, temporary: Borrower | None) -> Plan:
    if not wish.cpr:
        return Gone()
    if wish.temporary:
        return _adoption(wish, wish.cpr, temporary)
    if not wish.creates:
        return Gone()
    return Create(wish)


def _adoption(wish: Wish, number: str, temporary: Borrower | None) -> Change | Case:
    """Return the change that writes the CPR to a borrower whose PIN the person knew.

    It must have no CPR, no other date of birth, a surname in common unless staff confirm it, and be
    of a category made for that.
    """
    if temporary is None:
        return Case("temporary_unfit")
    concerned = numbers((temporary,))
    if not wish.creates or temporary.is_anothers(number):
        return Case("temporary_unfit", concerned)
    if temporary.category not in wish.adopts or temporary.cpr is not None:
        return Case("temporary_unfit", concerned)
    if not (wish.confirmed or has_surname(wish.person, temporary)):
        return Case("adoption_other_name", concerned)
    return Change(temporary.number, _fields(temporary, wish), wish.category, wish.expires, number)


def _change(borrower: Borrower, wish: Wish, today: date) -> Nothing | Change:
    adopted = _adoption_begun(borrower, wish)
    moved = adopted or wish.moves(borrower.category)
    longer = borrower.category == wish.category and _expires_soon(
        borrower.expires, wish.expires, today
    )
    fields = _fields(borrower, wish)
    if not (moved or longer or fields):
        return Nothing(borrower.number)
    change = Change(borrower.number, fields)
    if moved or longer:
        change = replace(change, expires=wish.expires)
    if moved:
        change = replace(change, category=wish.category)
    if adopted:
        change = replace(change, cpr=wish.cpr)
    return change


def _adoption_begun(borrower: Borrower, wish: Wish) -> bool:
    """Return whether a process died while it wrote the CPR: it leaves the category for last."""
    if wish.cpr is None or borrower.number != wish.temporary:
        return False
    return borrower.category in wish.adopts


def _fields(borrower: Borrower, wish: Wish) -> tuple[tuple[str, str], ...]:
    return tuple(
        (field.name, field.value)
        for field in wish.fields
        if _is_written(field, borrower.fields.get(field.name))
    )


def _is_written(field: WishedField, present: str | None) -> bool:
    if field.set == "always":
        return present != field.value
    return field.set == "if_empty" and not present


def _expires_soon(present: date | None, wished: date, today: date) -> bool:
    # No expiry is none to move, and a login never brings one nearer.
    if present is None or present >= wished:
        return False
    return near(present, wished, today)


def near(present: date, wished: date, today: date) -> bool:
    """Return whether an expiry is so near that a login moves it: half a year, or half a short term.

    A write at every login would cost more than it is worth.
    """
    days_left = (present - today).days
    half_term = (wished - today).days // 2
    return days_left < min(_RENEW_BELOW_DAYS, half_term)


def offered(planned: Plan, found: tuple[Borrower, ...], wish: Wish) -> str | None:
    """Return the category that ``planned`` would upgrade; the person is asked first (R40)."""
    if not isinstance(planned, Change) or not found:
        return None
    category = found[0].category
    if not wish.upgrades_from(category):
        return None
    return category


def outcome(borrower: Borrower, change: Change | None, wish: Wish) -> EnrolmentOutcome:
    """Return what ``change`` made of the ``borrower`` that was there before it."""
    if change is None:
        return EnrolmentOutcome.UNCHANGED
    if change.cpr:
        return EnrolmentOutcome.ADOPTED
    if change.category is None:
        return _of_same_category(borrower, change)
    if wish.upgrades_from(borrower.category):
        return EnrolmentOutcome.UPGRADED
    return EnrolmentOutcome.LOWERED


def _of_same_category(borrower: Borrower, change: Change) -> EnrolmentOutcome:
    overwritten = any(borrower.fields.get(name) for name, _ in change.fields)
    if overwritten or change.expires is not None:
        return EnrolmentOutcome.UPDATED
    return EnrolmentOutcome.FILLED_IN


def _planned(category: str | None, cpr: str | None) -> EnrolmentOutcome:
    if cpr:
        return EnrolmentOutcome.ADOPTED
    if category is None:
        return EnrolmentOutcome.UPDATED
    return EnrolmentOutcome.UPGRADED


def planned_outcome(observed: Enrolment, planned: Plan) -> Enrolment:
    """Return the record of what ``planned`` would write: names of fields, never their values."""
    match planned:
        case Case(reason):
            return replace(observed, reason=reason, borrowers=planned.borrowers)
        case Gone():
            return replace(observed, reason="borrower_gone")
        case Nothing(number):
            return replace(observed, number=number, outcome=EnrolmentOutcome.UNCHANGED)
        case Create(wish):
            return replace(
                observed,
                outcome=EnrolmentOutcome.CREATED,
                category=wish.category,
                expires=wish.expires,
                would=tuple(field.name for field in wish.fields),
            )
        case Change(number, fields, category, expires, cpr):
            return replace(
                observed,
                outcome=_planned(category, cpr),
                number=number,
                category=category,
                expires=expires,
                would=tuple(name for name, _ in fields),
            )
        case _:
            assert_never(planned)
