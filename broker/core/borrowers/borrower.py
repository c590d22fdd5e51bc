"""The person's account in the library system: what is there, what is wanted, and how far that is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from broker.core.borrowers.pins import suggested_by, suggested_by_birth
from broker.core.identity import cpr


@dataclass(frozen=True, slots=True, repr=False)
class Borrower:
    """One account as the library system holds it; ``number`` is the system's own id, never a field with the CPR.

    ``mark`` is the enrolment id found in the field reserved for it, ``born`` the date of birth,
    ``cpr`` the real number where the system keeps one (ten digits); each None where it holds none.
    """

    number: str
    category: str
    expires: date | None = None
    mark: str | None = None
    email: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    born: date | None = None
    cpr: str | None = None

    def is_anothers(self, number: str) -> bool:
        """Say whether this is a borrower with whose date of birth the CPR ``number`` disagrees.

        Its card number may be ten digits that are a stranger's CPR. A mark proves nothing: the desk
        copies records, mark and all, and may have used the field for something else.
        """
        born = cpr.birth_date(number)
        return None not in {self.born, born} and self.born != born

    def suggested_pins(self) -> frozenset[str]:
        """Give the PINs that what the library knows of this borrower suggests."""
        birth = suggested_by_birth(self.born) if self.born else frozenset()
        return birth | (suggested_by(self.cpr) if self.cpr else frozenset())

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

    ``cpr`` is the number to find the borrower by, or None: then ``borrower`` is the number of one
    that is proved to be the person's, and none is made. ``expires`` is the day the category is good
    until, ``pin_to`` the address a new borrower's PIN is mailed to, None for no mail. ``upgrade``
    is False where the person would rather keep the category (or was not asked yet), ``lowers`` the
    categories that this login may lower. ``temporary`` is the number of a borrower without a CPR
    that the person proved by its PIN: of one of the categories ``adopts`` it gets the CPR.
    ``creates`` is False where the person may not enrol alone: who has a borrower gets on, nobody
    gets a new one.
    """

    cpr: str | None
    affiliation: str
    category: str
    upgrades: tuple[str, ...]
    expires: date
    fields: tuple[WishedField, ...]
    pin_to: str | None
    language: str = "da"
    upgrade: bool = True
    lowers: tuple[str, ...] = ()
    borrower: str | None = None
    temporary: str | None = None
    adopts: tuple[str, ...] = ()
    creates: bool = True

    def __repr__(self) -> str:
        """Show affiliation and category only."""
        return f"Wish({self.affiliation!r}, {self.category!r})"

    def without_person(self) -> "Wish":
        """Give what an owed PIN mail needs once the borrower is made: no CPR, no fields, no numbers."""
        return replace(self, cpr=None, fields=(), borrower=None, temporary=None)

    def upgrades_from(self, category: str) -> bool:
        """Say whether a borrower of ``category`` would be upgraded; only its person's word makes it so (R40)."""
        return self.upgrade and category != self.category and category in self.upgrades

    def moves(self, category: str) -> bool:
        """Say whether a borrower of ``category`` would get another: upgraded or lowered."""
        return self.upgrades_from(category) or (
            category != self.category and category in self.lowers
        )


class EnrolmentState(StrEnum):
    """How far an enrolment is."""

    WANTED = "wanted"
    DONE = "done"
    # staff must look: two_borrowers, cpr_changed, birth_date_differs, temporary_and_cpr, ...
    CASE = "case"
    GIVEN_UP = "given_up"  # nothing came of it: too late, or borrower_gone
    OBSERVED = "observed"  # library.mode = observe: what would have been written; never carried out


class EnrolmentOutcome(StrEnum):
    """What a finished enrolment did."""

    CREATED = "created"
    UPGRADED = "upgraded"
    LOWERED = "lowered"
    ADOPTED = "adopted"  # a temporary borrower got its person's CPR
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, repr=False)
class Enrolment:
    """One durable wish and how far it is; keyed by the person, a later wish replaces the earlier (design 4c).

    ``id`` is the random mark that every create carries, the same under every later wish until the
    borrower it made is gone, so that our create is known by it; ``creates`` counts the creates
    sent. A finished enrolment keeps number, category, expiry and outcome, not the wish; while its
    PIN is owed it keeps the wish without CPR and fields.
    """

    id: str
    state: EnrolmentState
    wanted_at: datetime
    wish: Wish | None
    person: str  # pseudonym of the person
    number: str | None = None
    category: str | None = None
    expires: date | None = None
    outcome: EnrolmentOutcome | None = None
    attempts: int = 0
    first_attempt: datetime | None = None
    reason: str | None = None  # library_unavailable, two_borrowers, cpr_changed, ...
    pin_owed: bool = False
    pin_mailed: datetime | None = None
    link: str | None = None  # borrower number an earlier link named
    creates: int = 0
    pin_tried: datetime | None = (
        None  # when the first PIN mail was tried; a day later only a pointer is mailed
    )
    pin_avoids: tuple[str, ...] = ()  # pseudonyms of the PINs that the person's own number suggests
    carried: str | None = None  # pseudonym of the wish that was carried out
    settled: datetime | None = None  # when the borrower was last found as wished
    would: tuple[
        str, ...
    ] = ()  # in observe mode: the names of the fields that would have been written

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
    """A borrower is there: set these fields, and the category, expiry and CPR where they are given."""

    number: str
    fields: tuple[tuple[str, str], ...]
    category: str | None = None
    expires: date | None = None
    cpr: str | None = None

    def __repr__(self) -> str:
        """Show number and category only."""
        return f"Change({self.number!r}, {self.category!r})"


@dataclass(frozen=True, slots=True)
class Case:
    """Nothing may be done by machine; staff get it listed under ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """No borrower is there, and none may be made: whom it was about must enrol anew."""


Plan = Nothing | Create | Change | Case | Gone


def wrong_with_borrower(
    found: tuple[Borrower, ...], number: str | None, linked: str | None
) -> str | None:
    """Say why ``found`` by the CPR ``number`` is not the one borrower that ``linked`` names, or None where it is.

    The answer is the reason of a case. With ``linked`` None any one borrower will do, and so does
    none.
    """
    if len(found) > 1:
        return "two_borrowers"
    if linked and linked not in {each.number for each in found}:
        return "cpr_changed"
    if number and any(each.is_anothers(number) for each in found):
        return "birth_date_differs"
    return None
