"""When the set-up is checked, by which worker, and which events report it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault
from broker.core.events.audit_events import AuditEvent
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.use_cases.library_system.setup_check import SetupChecker, make_setup_check_due

CATEGORY = SetupFault("category_id STUDNT", "student.yaml:30: Given category_id does not exist: STUDNT")
DOWN = SetupFault("unavailable", "Koha: no token: 503")
EXPECTED = ExpectedSetup({"STUDNT": "student.yaml:30"})


@dataclass
class Library:
    """A library system whose set-up is checked; ``faults`` are what the next check finds."""

    faults: tuple[SetupFault, ...] = ()
    checks: list[ExpectedSetup] = field(default_factory=list)

    def check_setup(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Find the faults."""
        del deadline
        self.checks.append(expected)
        return self.faults


@dataclass
class Site:
    """One store, one library system, and a clock for all workers."""

    store: SqliteStore
    library: Any = field(default_factory=Library)
    now: datetime = datetime(2026, 11, 25, 12, tzinfo=UTC)
    told: list[tuple[EventKind | Any, str]] = field(default_factory=list)

    def worker(self) -> SetupChecker:
        """Start a worker."""
        return SetupChecker(self.library, self.store, lambda: EXPECTED, self.tell, lambda: self.now)

    def tell(self, event: BrokerEvent | AuditEvent) -> None:
        """Hear an event."""
        assert isinstance(event, BrokerEvent)
        self.told.append((event.kind, str(event.facts.get("setting", ""))))

    def later(self, worker: SetupChecker, **time: float) -> int:
        """Let the time pass, then let the worker step; return the number of checks until then."""
        self.now += timedelta(**time)
        worker.step()
        return len(self.library.checks)


@pytest.fixture
def site(empty_store: Path, tmp_path: Path) -> Site:
    """Give a site over an empty store."""
    path = tmp_path / "broker.db"
    path.write_bytes(empty_store.read_bytes())
    path.chmod(0o600)
    return Site(SqliteStore(path))


def test_the_setup_is_checked_at_a_start_and_every_hour(site: Site) -> None:
    """With the categories that the policies name at that moment."""
    worker = site.worker()
    assert site.later(worker) == 1
    assert site.library.checks == [EXPECTED]
    assert site.later(worker, minutes=59) == 1
    assert site.later(worker, minutes=2) == 2


def test_a_faulty_setup_is_checked_again_after_ten_minutes(site: Site) -> None:
    """A correction is noticed soon."""
    worker = site.worker()
    site.library.faults = (CATEGORY,)
    assert site.later(worker) == 1
    assert site.later(worker, minutes=9) == 1
    assert site.later(worker, minutes=2) == 2


def test_each_fault_and_the_recovery_are_logged_once(site: Site) -> None:
    """A lasting fault is logged when it begins, not every ten minutes."""
    worker = site.worker()
    for faults in ((), (CATEGORY,), (CATEGORY,), (CATEGORY, DOWN), (DOWN,), ()):
        site.library.faults = faults
        site.later(worker, hours=1, minutes=1)
    assert site.told == [
        (EventKind.LIBRARY_FAULT, CATEGORY.setting),
        (EventKind.LIBRARY_FAULT, DOWN.setting),
        (EventKind.LIBRARY_RECOVERED, ""),
    ]


def test_a_call_with_a_faulty_setting_makes_the_check_due(site: Site) -> None:
    """Staff need not wait an hour for the list of faults. Until the check, the earlier faults are listed."""
    worker = site.worker()
    site.library.faults = (CATEGORY,)
    assert site.later(worker) == 1
    assert site.later(worker, minutes=2) == 1
    make_setup_check_due(site.store, site.now)
    assert worker.faults() == (CATEGORY,)
    assert site.later(worker, seconds=20) == 2
