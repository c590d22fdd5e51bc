"""The borrower: the account in the library system, the one that is wanted, and the enrolment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from broker.core.borrowers.pins import suggested_by, suggested_by_birth
from broker.core.entities import Names
from broker.core.identity import cpr


@dataclass(frozen=True, slots=True, repr=False)
class Borrower:
    """One account as the library system holds it.

    ``number`` is the system's own id, never a field with the CPR, ``mark`` the enrolment id found
    in the field reserved for it, ``born`` the date of birth, ``cpr`` the real number (ten digits);
    these three are None where the system holds none.
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
        """Return whether the CPR ``number`` has another date of birth than this borrower.

        Its card number may be ten digits that are a stranger's CPR. A mark proves nothing: staff
        copy records, mark and all, and may have used the field for something else.
        """
        born = cpr.birth_date(number)
        return None not in {self.born, born} and self.born != born

    def suggested_pins(self) -> frozenset[str]:
        """Return the PINs that the borrower's date of birth and CPR number suggest."""
        pins: set[str] = set()
        if self.born:
            pins |= suggested_by_birth(self.born)
        if self.cpr:
            pins |= suggested_by(self.cpr)
        return frozenset(pins)

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
    """The borrower as it is wanted: derived from the decision, before anything is looked up.

    ``cpr`` is the number to find the borrower by, or None: then ``borrower`` is the number of one
    that is proved to be the person's, and none is made. ``expires`` is the day the category is good
    until, ``pin_to`` the address a new borrower's PIN is mailed to, None for no mail. ``upgrade``
    is False where the person would rather keep the category (or was not asked yet), ``lowers`` the
    categories that this login may lower. ``temporary`` is the number of a borrower without a CPR
    that the person proved by its PIN: of one of the categories ``adopts`` it gets the CPR.
    ``creates`` is False where the person may not enrol alone: a person with a borrower gets on,
    nobody gets a new one.
    """

    cpr: str | None
    affiliation: str
    category: str
    upgrades: Names
    expires: date
    fields: tuple[WishedField, ...]
    pin_to: str | None
    language: str = "da"
    upgrade: bool = True
    lowers: Names = ()
    borrower: str | None = None
    temporary: str | None = None
    adopts: Names = ()
    creates: bool = True

    def __repr__(self) -> str:
        """Show affiliation and category only."""
        return f"Wish({self.affiliation!r}, {self.category!r})"

    def without_person(self) -> "Wish":
        """Return the wish for an owed PIN mail, the borrower made: no CPR, fields or numbers."""
        return replace(self, cpr=None, fields=(), borrower=None, temporary=None)

    def upgrades_from(self, category: str) -> bool:
        """Return whether a borrower of ``category`` would be upgraded.

        Only the person's own answer makes it so (R40).
        """
        return self.upgrade and category != self.category and category in self.upgrades

    def moves(self, category: str) -> bool:
        """Return whether a borrower of ``category`` would get another: upgraded or lowered."""
        if category == self.category:
            return False
        return category in self.lowers or self.upgrades_from(category)


class EnrolmentState(StrEnum):
    """The state of an enrolment."""

    WANTED = "wanted"
    DONE = "done"
    # staff must look: two_borrowers, cpr_changed, birth_date_differs, temporary_and_cpr, ...
    CASE = "case"
    GIVEN_UP = "given_up"  # nothing came of it: too late, or borrower_gone
    OBSERVED = "observed"  # library.mode = observe: what would have been written; never carried out


class EnrolmentOutcome(StrEnum):
    """The change that a finished enrolment made."""

    CREATED = "created"
    UPGRADED = "upgraded"
    LOWERED = "lowered"
    ADOPTED = "adopted"  # a temporary borrower got its person's CPR
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, repr=False)
class Enrolment:
    """One durable wish and its state, keyed by the person (docs/reference/design.md#4c).

    A later wish replaces the earlier. ``id`` is the random mark that every create carries, the same
    under every later wish until the borrower it made is gone, so that our create is known by it;
    ``creates`` counts the creates sent. A finished enrolment keeps number, category, expiry and
    outcome, not the wish; while its PIN is owed it keeps the wish without CPR and fields.
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
    # when the first PIN mail was tried; a day later only a pointer is mailed
    pin_tried: datetime | None = None
    pin_avoids: Names = ()  # pseudonyms of the PINs that the person's own number suggests
    carried: str | None = None  # pseudonym of the wish that was carried out
    settled: datetime | None = None  # when the borrower was last found as wished
    # in observe mode: the names of the fields that would have been written
    would: Names = ()

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
    """A borrower is there: set these fields, and category, expiry and CPR unless None."""

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
    """Nothing may be changed automatically; staff get it listed under ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """No borrower is there, and none may be made: the person must enrol anew."""


Plan = Nothing | Create | Change | Case | Gone


def wrong_with_borrower(
    found: tuple[Borrower, ...], number: str | None, linked: str | None
) -> str | None:
    """Return the reason of a case where ``found`` is not the one borrower that ``linked`` names.

    ``found`` are the borrowers of the CPR ``number``. None where all is well; with ``linked`` None
    any one borrower will do, and so does none.
    """
    if len(found) > 1:
        return "two_borrowers"
    if linked and linked not in {borrower.number for borrower in found}:
        return "cpr_changed"
    if number and any(borrower.is_anothers(number) for borrower in found):
        return "birth_date_differs"
    return None
