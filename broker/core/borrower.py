"""The person's account in the library system: what is there, what is wanted, and the one change between the two."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import assert_never

from broker.core import cpr


@dataclass(frozen=True, slots=True, repr=False)
class Borrower:
    """One account as the library system holds it; ``number`` is the system's own id, never a field with the CPR.

    ``mark`` is the enrolment id found in the field reserved for it, ``born`` the date of birth; each None where the
    system holds none.
    """

    number: str
    category: str
    expires: date | None = None
    mark: str | None = None
    email: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    born: date | None = None

    def is_anothers(self, number: str) -> bool:
        """Say whether this is a borrower with whose date of birth the CPR ``number`` disagrees.

        Its card number may be ten digits that are a stranger's CPR. A mark proves nothing: the desk copies records,
        mark and all, and may have used the field for something else.
        """
        born = cpr.birth_date(number)
        return None not in {self.born, born} and self.born != born

    def __repr__(self) -> str:
        """Show number and category only."""
        return f"Borrower({self.number!r}, {self.category!r})"


@dataclass(frozen=True, slots=True, repr=False)
class WishedField:
    """One borrower field of a wish: its value and when it may be written."""

    name: str
    value: str
    set: str  # create | if_empty | always


@dataclass(frozen=True, slots=True, repr=False)
class Wish:
    """That a borrower be so: worked out from the decision, before anything is looked up.

    ``cpr`` is the number to find the borrower by, or None; ``expires`` the day the category is good until;
    ``pin_to`` the address a new borrower's PIN is mailed to, None for no mail.
    """

    cpr: str | None
    affiliation: str
    category: str
    upgrades: tuple[str, ...]
    expires: date
    fields: tuple[WishedField, ...]
    pin_to: str | None
    language: str = "da"

    def __repr__(self) -> str:
        """Show affiliation and category only."""
        return f"Wish({self.affiliation!r}, {self.category!r})"

    def without_person(self) -> "Wish":
        """Give what an owed PIN mail needs once the borrower is made: no CPR, no fields."""
        return replace(self, cpr=None, fields=())


class State(StrEnum):
    """How far an enrolment is."""

    WANTED = "wanted"
    DONE = "done"
    CASE = "case"  # staff must look: two_borrowers, cpr_changed, birth_date_differs
    GIVEN_UP = "given_up"
    OBSERVED = "observed"  # library.mode = observe: what would have been written; never carried out


class Outcome(StrEnum):
    """What a finished enrolment did."""

    CREATED = "created"
    UPGRADED = "upgraded"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, repr=False)
class Enrolment:
    """One durable wish and how far it is; keyed by the person, a later wish replaces the earlier (design 4c).

    ``id`` is the random mark that every create carries, the same under every later wish until the borrower it made is
    gone, so that our create is known by it; ``creates`` counts the creates sent. A finished enrolment keeps number,
    category, expiry and outcome, not the wish; while its PIN is owed it keeps the wish without CPR and fields.
    """

    id: str
    state: State
    wanted_at: datetime
    wish: Wish | None
    person: str  # pseudonym of the person
    number: str | None = None
    category: str | None = None
    expires: date | None = None
    outcome: Outcome | None = None
    attempts: int = 0
    first_attempt: datetime | None = None
    reason: str | None = None  # library_unavailable, two_borrowers, cpr_changed, ...
    pin_owed: bool = False
    pin_mailed: datetime | None = None
    link: str | None = None  # borrower number an earlier link named
    creates: int = 0
    pin_tried: datetime | None = None  # when the first PIN mail was tried; a day later only a pointer is mailed
    pin_avoids: tuple[str, ...] = ()  # pseudonyms of the PINs that the person's own number suggests
    carried: str | None = None  # pseudonym of the wish that was carried out
    settled: datetime | None = None  # when the borrower was last found as wished
    would: tuple[str, ...] = ()  # in observe mode: the names of the fields that would have been written

    def __repr__(self) -> str:
        """Show id, state and reason only."""
        return f"Enrolment({self.id!r}, {self.state.value!r}, {self.reason!r})"


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
    """A borrower is there: set these fields, and the category and expiry where they are given."""

    number: str
    fields: tuple[tuple[str, str], ...]
    category: str | None = None
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Nothing may be done by machine; staff get it listed under ``reason``."""

    reason: str


Plan = Nothing | Create | Change | Case


def plan(found: tuple[Borrower, ...], wish: Wish, linked: str | None, today: date) -> Plan:
    """Say what must be done so that exactly one borrower is as ``wish`` has it (invariant 6).

    ``found`` are all borrowers that match the CPR, ``linked`` the number a remembered link names.
    Two matches, a link that names another borrower than the CPR finds, or one with another date of birth is a Case.
    """
    reason = amiss(found, wish.cpr, linked)
    if reason:
        return Case(reason)
    return _change(found[0], wish, today) if found else Create(wish)


def amiss(found: tuple[Borrower, ...], number: str | None, linked: str | None) -> str | None:
    """Say why ``found`` by the CPR ``number`` is not the one borrower that ``linked`` names, or None where it is.

    The answer is the reason of a case. With ``linked`` None any one borrower will do, and so does none.
    """
    if len(found) > 1:
        return "two_borrowers"
    if linked and linked not in {each.number for each in found}:
        return "cpr_changed"
    if number and any(each.is_anothers(number) for each in found):
        return "birth_date_differs"
    return None


def _change(borrower: Borrower, wish: Wish, today: date) -> Nothing | Change:
    upgrade = borrower.category in wish.upgrades and borrower.category != wish.category
    longer = borrower.category == wish.category and _expires_soon(borrower.expires, wish.expires, today)
    fields = tuple(
        (each.name, each.value)
        for each in wish.fields
        if (each.set == "always" and borrower.fields.get(each.name) != each.value)
        or (each.set == "if_empty" and not borrower.fields.get(each.name))
    )
    if not (upgrade or longer or fields):
        return Nothing(borrower.number)
    return Change(
        borrower.number,
        fields,
        wish.category if upgrade else None,
        wish.expires if upgrade or longer else None,
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


_RENEW_BELOW_DAYS = 180


def would(observed: Enrolment, planned: Plan) -> Enrolment:
    """Give the record of what ``planned`` would write: names of fields, never their values."""
    match planned:
        case Case(reason):
            return replace(observed, reason=reason)
        case Nothing(number):
            return replace(observed, number=number, outcome=Outcome.UNCHANGED)
        case Create(wish):
            names = tuple(each.name for each in wish.fields)
            return replace(observed, outcome=Outcome.CREATED, category=wish.category, expires=wish.expires, would=names)
        case Change(number, fields, category, expires):
            changed = replace(observed, number=number, category=category, expires=expires)
            return replace(changed, outcome=Outcome.UPGRADED, would=tuple(name for name, _ in fields))
        case _:
            assert_never(planned)
