"""Wishes that wait for a silent library system: due at once when it answers again, oldest first."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.errors import LibraryUnavailable
from broker.core.ports import Key
from broker.core.retention.table import TURN
from broker.use_cases.borrowers.enrolment_records import (
    EnrolmentDraft,
    EnrolmentRecords,
    StoredEnrolment,
)
from broker.use_cases.borrowers.known_borrower import person_key

# A library system that comes and goes is not followed more often: every enrolment is read for it.
_EVERY: Final = timedelta(minutes=1)
# While others succeed, wishes that alone fail keep their growing pauses: no storm of retries.
_OUTAGE: Final = timedelta(minutes=5)
# Whether a library system was silent before a process began nobody there knows.
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
# Of more than so many it is an outage, and they are read from the store after it.
_MOST_REMEMBERED: Final = 1_000
# Given its place once more it would fail before everybody who is new.
_MOST_PLACES: Final = 2
# One trial a minute is made of these, whoever waits.
_SET_UP: Final = "library_setup"
_TURN: Final = Key("counter", "wishes after an outage")


@dataclass(slots=True)
class WishesAfterOutage:
    """The step of one worker, ``carry_out``, and what it tells of the library system.

    The pauses after failures grow to hours: without this the oldest would wait longest after it.
    And what is due after a pause is due later than all that has waited meanwhile: without this one
    call that fails would cost a wish its place before thousands. Whoever fails on keeps the pauses:
    a hundred whose calls end at their deadlines would leave no time for anybody else.
    """

    carry_out: Callable[[], Enrolment | None]
    records: EnrolmentRecords
    now: Callable[[], datetime]
    _failing_since: datetime | None = field(default=_BEFORE_ALL, init=False)
    # When the pause of each ends, and whose it is: the earliest first.
    _paused: list[tuple[datetime, str]] = field(default_factory=list, init=False)
    # How often each wish that waits was made due before all others, by its id.
    _places: dict[str, int] = field(default_factory=dict, init=False)

    def step(self) -> Enrolment | None:
        """Carry out what has been due longest; None where nothing is due."""
        self._end_pauses()
        enrolment = self.carry_out()
        if enrolment is None:
            return None
        if _is_held_up(enrolment) and enrolment.attempts == 1:
            self._remember(enrolment.person)
        if _waits(enrolment):
            self._failing_since = self._failing_since or self.now()
        elif enrolment.state is EnrolmentState.DONE:
            self._answered()
        return enrolment

    def _remember(self, person: str) -> None:
        entry = self.records.read(person_key(person))
        if entry and entry.due and len(self._paused) < _MOST_REMEMBERED:
            heappush(self._paused, (entry.due, person))

    def _end_pauses(self) -> None:
        """Give those whose pause has ended their place again."""
        now = self.now()
        while True:
            person = self._next_paused(now)
            if person is None:
                return
            self.records.amend(person_key(person), lambda entry: _tried_again(entry, now))

    def _next_paused(self, now: datetime) -> str | None:
        """Return whose pause has ended first; several threads may ask at once."""
        with suppress(IndexError):
            paused = heappop(self._paused)
            until, person = paused
            if until <= now:
                return person
            heappush(self._paused, paused)
        return None

    def _answered(self) -> None:
        since = self._failing_since
        if since is None:
            return
        if self.now() - since < _OUTAGE or self._make_due():
            self._failing_since = None

    def _make_due(self) -> bool:
        """Make what waits due since it was wanted, so that the oldest is claimed first.

        False where another process has done so just now.
        """
        now = self.now()
        if self.records.store.count(_TURN, 1, TURN.ends(now + _EVERY), now) > 1:
            return False
        places: dict[str, int] = {}
        for entry in filter(_is_waiting, self.records.readable()):
            id_ = entry.enrolment.id
            places[id_] = self._places.get(id_, 0) + 1
            if places[id_] <= _MOST_PLACES:
                self.records.amend(entry.key, _due)
        self._places = places
        return True


def _waits(enrolment: Enrolment) -> bool:
    if enrolment.state is not EnrolmentState.WANTED:
        return False
    return enrolment.reason == LibraryUnavailable.reason


def _is_waiting(entry: StoredEnrolment) -> bool:
    return _waits(entry.enrolment)


def _due(entry: StoredEnrolment) -> EnrolmentDraft | None:
    if not _is_waiting(entry):
        return None
    return entry.enrolment, entry.enrolment.wanted_at


def _is_held_up(enrolment: Enrolment) -> bool:
    """Return whether a call failed, and is to be made again after a pause."""
    if enrolment.reason in {None, _SET_UP}:
        return False
    return enrolment.state is EnrolmentState.WANTED


def _tried_again(entry: StoredEnrolment, now: datetime) -> EnrolmentDraft | None:
    if entry.due is None or entry.due > now or not _is_held_up(entry.enrolment):
        return None
    return entry.enrolment, entry.enrolment.wanted_at
