"""The one change between the borrower that is there and the one that is wanted."""

from dataclasses import replace
from datetime import date
from typing import Final, assert_never

from broker.core.borrowers.borrower import (
    Borrower,
    Case,
    Change,
    Create,
    Enrolment,
    EnrolmentOutcome,
    Gone,
    Nothing,
    Plan,
    Wish,
    wrong_with_borrower,
)

_RENEW_BELOW_DAYS: Final = 180


def plan(
    found: tuple[Borrower, ...],
    wish: Wish,
    linked: str | None,
    today: date,
    temporary: Borrower | None = None,
) -> Plan:
    """Say what must be done so that exactly one borrower is as ``wish`` has it (invariant 6).

    ``found`` are all borrowers that match the CPR, or the one of the number that stands for it;
    ``linked`` is the number a remembered link names, ``temporary`` the borrower that
    ``wish.temporary`` names, None where it is gone. Two matches, a link that names another borrower
    than the CPR finds, one with another date of birth, or a temporary borrower beside the CPR's own
    is a Case.
    """
    adopting = wish.temporary if wish.cpr else None
    reason = wrong_with_borrower(found, wish.cpr, None if linked == adopting else linked)
    if reason:
        return Case(reason)
    if not found and adopting:
        return _adoption(wish, wish.cpr or "", temporary)
    if not found:
        return Create(wish) if wish.cpr and wish.creates else Gone()
    if adopting and adopting != found[0].number and temporary:
        return Case("temporary_and_cpr")
    return _change(found[0], wish, today)


def _adoption(wish: Wish, number: str, temporary: Borrower | None) -> Change | Case:
    """Give the CPR to a borrower whose PIN the person knew: it must have none, and be of a category made for that."""
    fit = temporary is not None and temporary.category in wish.adopts and temporary.cpr is None
    if temporary is None or not fit or not wish.creates or temporary.is_anothers(number):
        return Case("temporary_unfit")
    return Change(temporary.number, _fields(temporary, wish), wish.category, wish.expires, number)


def _change(borrower: Borrower, wish: Wish, today: date) -> Nothing | Change:
    # A process that died while it gave the CPR has left the category for last.
    adopted = (
        wish.cpr is not None
        and borrower.number == wish.temporary
        and borrower.category in wish.adopts
    )
    moved = adopted or wish.moves(borrower.category)
    longer = borrower.category == wish.category and _expires_soon(
        borrower.expires, wish.expires, today
    )
    fields = _fields(borrower, wish)
    if not (moved or longer or fields):
        return Nothing(borrower.number)
    return Change(
        borrower.number,
        fields,
        wish.category if moved else None,
        wish.expires if moved or longer else None,
        wish.cpr if adopted else None,
    )


def _fields(borrower: Borrower, wish: Wish) -> tuple[tuple[str, str], ...]:
    return tuple(
        (each.name, each.value)
        for each in wish.fields
        if (each.set == "always" and borrower.fields.get(each.name) != each.value)
        or (each.set == "if_empty" and not borrower.fields.get(each.name))
    )


def _expires_soon(standing: date | None, wished: date, today: date) -> bool:
    # No expiry is none to move, and a login never brings one nearer.
    if standing is None or standing >= wished:
        return False
    return near(standing, wished, today)


def near(standing: date, wished: date, today: date) -> bool:
    """Say whether an expiry is so near that a login moves it: half a year, or half of a shorter term.

    A write at every login would cost more than it is worth.
    """
    return (standing - today).days < min(_RENEW_BELOW_DAYS, (wished - today).days // 2)


def offered(planned: Plan, found: tuple[Borrower, ...], wish: Wish) -> str | None:
    """Give the category that ``planned`` would upgrade, and that the person must be asked about first (R40)."""
    upgrade = isinstance(planned, Change) and bool(found) and wish.upgrades_from(found[0].category)
    return found[0].category if upgrade else None


def outcome(borrower: Borrower, change: Change | None, wish: Wish) -> EnrolmentOutcome:
    """Say what ``change`` made of the ``borrower`` that was there before it."""
    if change is None:
        return EnrolmentOutcome.UNCHANGED
    if change.cpr:
        return EnrolmentOutcome.ADOPTED
    lowered = change.category is not None and not wish.upgrades_from(borrower.category)
    return EnrolmentOutcome.LOWERED if lowered else EnrolmentOutcome.UPGRADED


def planned_outcome(observed: Enrolment, planned: Plan) -> Enrolment:
    """Give the record of what ``planned`` would write: names of fields, never their values."""
    match planned:
        case Case(reason):
            return replace(observed, reason=reason)
        case Gone():
            return replace(observed, reason="borrower_gone")
        case Nothing(number):
            return replace(observed, number=number, outcome=EnrolmentOutcome.UNCHANGED)
        case Create(wish):
            names = tuple(each.name for each in wish.fields)
            return replace(
                observed,
                outcome=EnrolmentOutcome.CREATED,
                category=wish.category,
                expires=wish.expires,
                would=names,
            )
        case Change(number, fields, category, expires, cpr):
            changed = replace(observed, number=number, category=category, expires=expires)
            made = EnrolmentOutcome.ADOPTED if cpr else EnrolmentOutcome.UPGRADED
            return replace(changed, outcome=made, would=tuple(name for name, _ in fields))
        case _:
            assert_never(planned)
