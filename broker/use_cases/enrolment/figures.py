"""Counts of enrolments, for readiness and metrics: made by one worker every few minutes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.entities import Names
from broker.core.ports import Key, Store
from broker.core.retention.table import FIGURES, TURN
from broker.use_cases.person_records import PersonRecords
from broker.use_cases.records import Records

_COUNT_EVERY: Final = timedelta(minutes=5)
_COUNTING: Final = timedelta(seconds=60)  # longer than a count takes
_LOOK_EVERY: Final = timedelta(seconds=10)
_KEY: Final = Key("figures", "enrolments")
_TURN: Final = Key("counter", "enrolment figures")


@dataclass(frozen=True, slots=True)
class EnrolmentCount:
    """The number of enrolments in a state; ``reason`` is "" where there is none."""

    state: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class EnrolmentFigures:
    """The counts at a time.

    ``oldest_pending`` is the time of the oldest pending request, and ``settings`` are the settings
    of the library system that keep enrolments pending.
    """

    at: datetime
    counts: tuple[EnrolmentCount, ...]
    oldest_pending: datetime | None = None
    look_ups_due: int = 0
    settings: Names = ()

    def count_state(self, state: str) -> int:
        """Return how many enrolments are in a state."""
        return sum(each.count for each in self.counts if each.state == state)


@dataclass(slots=True)
class EnrolmentCounting:
    """The counting of one worker."""

    store: Store
    persons: PersonRecords
    now: Callable[[], datetime]
    _looked_at: datetime | None = field(default=None, init=False)

    def read_figures(self) -> EnrolmentFigures | None:
        """Return the figures that a worker counted last, or None."""
        record = self._records.get(_KEY, self.now())
        return record.value if record else None

    def step(self) -> None:
        """Count if it is time and no other worker does."""
        now = self.now()
        if self._looked_at and now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        figures = self.read_figures()
        if figures and now - figures.at < _COUNT_EVERY:
            return
        if self.store.count(_TURN, 1, TURN.ends(now + _COUNTING), now) > 1:
            return
        self._records.put(_KEY, self._count(now), FIGURES.until(now), now)

    def _count(self, now: datetime) -> EnrolmentFigures:
        counter: Counter[tuple[str, str]] = Counter()
        pending: list[datetime] = []
        settings: dict[str, None] = {}
        look_ups = 0
        for record in self.persons.list_all(now):
            look_ups += record.value.look_up_due is not None
            enrolment = record.value.enrolment
            if enrolment is None:
                continue
            counter[enrolment.state.value, enrolment.reason or ""] += 1
            if enrolment.state is EnrolmentState.PENDING:
                pending.append(enrolment.requested_at)
                if enrolment.setting:
                    settings[enrolment.setting] = None
        counts = tuple(EnrolmentCount(*kind, count) for kind, count in sorted(counter.items()))
        return EnrolmentFigures(now, counts, min(pending, default=None), look_ups, tuple(settings))

    @property
    def _records(self) -> Records[EnrolmentFigures]:
        return Records(self.store, EnrolmentFigures)
