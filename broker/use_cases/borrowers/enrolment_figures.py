"""How many enrolments stand where: counted by one worker every few minutes, and read by all.

Every record is read for it, so no scrape of the metrics counts them itself.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.ports import Key
from broker.core.retention.table import FIGURES, TURN
from broker.use_cases.borrowers.enrolment_records import EnrolmentRecords
from broker.use_cases.records import Records

_COUNT_EVERY: Final = timedelta(minutes=5)
_COUNTING: Final = timedelta(seconds=60)  # longer than a count takes
_LOOK_EVERY: Final = timedelta(seconds=10)
_KEY: Final = Key("figures", "enrolments")
_TURN: Final = Key("counter", "enrolment figures")


@dataclass(frozen=True, slots=True)
class EnrolmentCount:
    """So many enrolments are in a state, as it is listed; ``reason`` is "" where none is told."""

    state: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class EnrolmentFigures:
    """The figures as they were at a time.

    ``oldest_wanted`` is since when the enrolment is wanted that waits longest, None where none
    does; ``pins_owed`` counts the PIN letters that are to be mailed.
    """

    at: datetime
    counts: tuple[EnrolmentCount, ...]
    oldest_wanted: datetime | None
    pins_owed: int

    def of_state(self, state: str) -> int:
        """Return how many enrolments are in a state."""
        return sum(each.count for each in self.counts if each.state == state)


@dataclass(slots=True)
class EnrolmentCounting:
    """The counting of one worker."""

    enrolments: EnrolmentRecords
    now: Callable[[], datetime]
    _looked: datetime | None = field(default=None, init=False)

    def figures(self) -> EnrolmentFigures | None:
        """Return the figures that a worker counted last, or None; StoreUnavailable."""
        record = self._records.get(_KEY, self.now())
        return record.value if record else None

    def step(self) -> None:
        """Count if it is time and no other worker does; StoreUnavailable."""
        now = self.now()
        if self._looked and now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        figures = self.figures()
        if figures and now - figures.at < _COUNT_EVERY:
            return
        if self._records.store.count(_TURN, 1, TURN.ends(now + _COUNTING), now) > 1:
            return
        self._records.put(_KEY, self._counted(now), FIGURES.until(now), now)

    def _counted(self, now: datetime) -> EnrolmentFigures:
        counter: Counter[tuple[str, str]] = Counter()
        wanted: list[datetime] = []
        owed = 0
        for entry in self.enrolments.all():
            enrolment = entry.enrolment
            counter[enrolment.listed_state, enrolment.listed_reason or ""] += 1
            owed += enrolment.pin_owed
            if enrolment.state is EnrolmentState.WANTED:
                wanted.append(enrolment.wanted_at)
        for _, kept in self.enrolments.store.list("pin", None, now):
            owed += kept.due is not None
        counts = (EnrolmentCount(*kind, count) for kind, count in sorted(counter.items()))
        return EnrolmentFigures(now, tuple(counts), min(wanted, default=None), owed)

    @property
    def _records(self) -> Records[EnrolmentFigures]:
        return Records(self.enrolments.store, EnrolmentFigures)
