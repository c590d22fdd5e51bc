"""The check of the library system's set-up, which one worker makes for all.

It runs after a start, after a change of the categories in the policies, then every hour, and every
ten minutes while something is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault
from broker.core.entities import Names
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort
from broker.core.ports import Key, LibrarySystem, Store
from broker.core.retention import SETUP, TURN
from broker.use_cases.storage.records import Records

CHECK_TIMEOUT: Final = timedelta(seconds=60)  # for all calls of one check
_SOUND_FOR: Final = timedelta(hours=1)
_FAULTY_FOR: Final = timedelta(minutes=10)
_LOOK_EVERY: Final = timedelta(seconds=10)
_KEY: Final = Key("figures", "library setup")
_TURN: Final = Key("counter", "library setup")


@dataclass(frozen=True, slots=True)
class CheckedSetup:
    """The faults that a check found, its time, and the categories that it checked."""

    at: datetime
    faults: tuple[SetupFault, ...]
    categories: Names = ()

    def is_fresh(self, categories: Names, began: datetime, now: datetime) -> bool:
        """Return whether the check is still valid.

        A check from before ``began``, the start of the worker, or of other categories is not.
        """
        if self.at < began or self.categories != categories:
            return False
        return now - self.at < (_FAULTY_FOR if self.faults else _SOUND_FOR)


def make_setup_check_due(store: Store, now: datetime) -> None:
    """Make the next step check the set-up, because a setting has made a call fail.

    Until then the faults of the last check are still reported.
    """
    records = Records(store, CheckedSetup)
    record = records.get(_KEY, now)
    if record:
        never = datetime.min.replace(tzinfo=UTC)
        records.put(_KEY, replace(record.value, at=never), SETUP.until(now), now)


@dataclass(slots=True)
class SetupChecker:
    """Checks the set-up in one worker; ``expected`` returns what the present policies need."""

    library: LibrarySystem
    store: Store
    expected: Callable[[], ExpectedSetup]
    tell: EventPort
    now: Callable[[], datetime]
    _looked: datetime | None = field(default=None, init=False)
    _began: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.now()

    def faults(self) -> Sequence[SetupFault]:
        """Return the faults of the last check; raises StoreUnavailable."""
        record = self._records.get(_KEY, self.now())
        return record.value.faults if record else ()

    def step(self) -> None:
        """Check the set-up if it is time and no other worker does; raises StoreUnavailable."""
        now = self.now()
        if self._looked and now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        expected = self.expected()
        categories = tuple(sorted(expected.categories))
        record = self._records.get(_KEY, now)
        if record and record.value.is_fresh(categories, self._began, now):
            return
        if self.store.count(_TURN, 1, TURN.ends(now + CHECK_TIMEOUT), now) > 1:
            return
        faults = self.library.check_setup(expected, now + CHECK_TIMEOUT)
        self._tell(record.value.faults if record else (), faults)
        checked = CheckedSetup(now, faults, categories)
        self._records.put(_KEY, checked, SETUP.until(self.now()), self.now())

    def _tell(self, before: Sequence[SetupFault], faults: Sequence[SetupFault]) -> None:
        for fault in faults:
            if fault not in before:
                facts = {"setting": fault.setting, "fault": fault.sentence}
                self.tell(BrokerEvent(EventKind.LIBRARY_FAULT, facts))
        if before and not faults:
            self.tell(BrokerEvent(EventKind.LIBRARY_RECOVERED))

    @property
    def _records(self) -> Records[CheckedSetup]:
        return Records(self.store, CheckedSetup)
