"""Wishes that wait for a silent library system: due at once when it answers again, oldest first."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
_TURN: Final = Key("counter", "wishes after an outage")


@dataclass(slots=True)
class WishesAfterOutage:
    """The step of one worker, ``carry_out``, and what it tells of the library system.

    The pauses after failures grow to hours: without this the oldest would wait longest after it.
    """

    carry_out: Callable[[], Enrolment | None]
    records: EnrolmentRecords
    now: Callable[[], datetime]
    _silent: bool = field(default=False, init=False)

    def step(self) -> Enrolment | None:
        """Carry out what has been due longest; None where nothing is due."""
        enrolment = self.carry_out()
        if enrolment is None:
            return None
        if _waits(enrolment):
            self._silent = True
        elif self._silent and enrolment.state is EnrolmentState.DONE:
            self._silent = False
            self._make_due()
        return enrolment

    def _make_due(self) -> None:
        """Make all that wait due since they were wanted, so that the oldest is claimed first."""
        now = self.now()
        if self.records.store.count(_TURN, 1, TURN.ends(now + _EVERY), now) > 1:
            self._silent = True
            return
        for entry in self.records.all():
            if _waits(entry.enrolment):
                self.records.amend(entry.key, _due)


def _waits(enrolment: Enrolment) -> bool:
    if enrolment.state is not EnrolmentState.WANTED:
        return False
    return enrolment.reason == LibraryUnavailable.reason


def _due(entry: StoredEnrolment) -> EnrolmentDraft | None:
    if not _waits(entry.enrolment):
        return None
    return replace(entry.enrolment, attempts=0), entry.enrolment.wanted_at
