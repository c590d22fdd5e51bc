"""Wishes that wait for a silent library system: due at once when it answers again, oldest first."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.errors import LibraryUnavailable
from broker.core.ports import Key
from broker.core.retention.table import TURN
from broker.flows.borrowers.enrolment_records import (
    EnrolmentDraft,
    EnrolmentRecords,
    StoredEnrolment,
)

# A library system that comes and goes is not followed more often: every enrolment is read for it.
_EVERY: Final = timedelta(minutes=1)
# While others succeed, wishes that alone fail keep their growing pauses: no storm of retries.
_OUTAGE: Final = timedelta(minutes=5)
# Whether a library system was silent before a process began nobody there knows.
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
_TURN: Final = Key("counter", "wishes after an outage")


@dataclass(slots=True)
class WishesAfterOutage:
    """The step of one worker, ``carry_out``, and what it tells of the library system.

    The pauses after failures grow to hours: without this the oldest would wait longest after it.
    """

    carry_out: Callable[[], Enrolment | None]
    records: EnrolmentRecords
    now: Callable[[], datetime]
    _failing_since: datetime | None = field(default=_BEFORE_ALL, init=False)

    def step(self) -> Enrolment | None:
        """Carry out what has been due longest; None where nothing is due."""
        enrolment = self.carry_out()
        if enrolment is None:
            return None
        if _waits(enrolment):
            self._failing_since = self._failing_since or self.now()
        elif enrolment.state is EnrolmentState.DONE:
            self._answered()
        return enrolment

    def _answered(self) -> None:
        since = self._failing_since
        if since is None:
            return
        if self.now() - since < _OUTAGE or self._make_due():
            self._failing_since = None

    def _make_due(self) -> bool:
        """Make all that wait due since they were wanted, so that the oldest is claimed first.

        False where another process has done so just now.
        """
        now = self.now()
        if self.records.store.count(_TURN, 1, TURN.ends(now + _EVERY), now) > 1:
            return False
        for entry in self.records.readable():
            if _waits(entry.enrolment):
                self.records.amend(entry.key, _due)
        return True


def _waits(enrolment: Enrolment) -> bool:
    if enrolment.state is not EnrolmentState.WANTED:
        return False
    return enrolment.reason == LibraryUnavailable.reason


def _due(entry: StoredEnrolment) -> EnrolmentDraft | None:
    if not _waits(entry.enrolment):
        return None
    return entry.enrolment, entry.enrolment.wanted_at
