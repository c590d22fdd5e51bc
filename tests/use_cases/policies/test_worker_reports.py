"""The reports of web workers, and the wait until every one that lives has the digest."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.core.ports import Store
from broker.use_cases.policies.worker_reports import Behind, OwnReport, Waiting, WorkerReport, current

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OLD = WorkerReport("idp1", 7, "old")
NEW = WorkerReport("idp1", 7, "new")


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> SqliteStore:
    """Give an empty store."""
    return SqliteStore(Path(copy(empty_store, tmp_path / "broker.db")))


def reported(store: Store, now: datetime) -> list[WorkerReport]:
    """Give the reports."""
    return [record.value for record in current(store, now).values()]


def test_a_report_is_written_when_it_is_news_and_renewed(store: SqliteStore) -> None:
    """At once where the digest changes, every three seconds otherwise, and no more once it is dropped."""
    own = OwnReport(store, "w")
    versions = []
    for second, report in enumerate([OLD, OLD, OLD, OLD, NEW, NEW]):
        own.tell(report, NOW + second * SECOND)
        versions.append(current(store, NOW)["w"].version)
    assert [before == after for before, after in itertools.pairwise(versions)] == [True, True, False, False, True]
    assert reported(store, NOW) == [NEW]
    own.drop()
    assert reported(store, NOW) == []


def test_a_clock_that_was_set_back_stops_no_renewing(store: SqliteStore) -> None:
    """A worker that reported in the future reports now."""
    own = OwnReport(store, "w")
    own.tell(OLD, NOW)
    before = current(store, NOW)["w"].version
    own.tell(OLD, NOW - timedelta(hours=1))
    assert current(store, NOW - timedelta(hours=1))["w"].version != before


def test_who_has_another_digest_is_late_or_silent(store: SqliteStore) -> None:
    """Late, whatever its clock says; silent who is not heard of for ten seconds of looking; neither who has it."""
    workers = {name: OwnReport(store, name) for name in ("has", "late", "dead")}
    workers["has"].tell(NEW, NOW)
    dead = WorkerReport("idp1", 8, "old")
    workers["dead"].tell(dead, NOW)
    late = WorkerReport("idp2", 9, "old", ("student.yaml:3: no upstream wafy",))
    waiting = Waiting("new")
    found: dict[int, Behind] = {}
    for second in range(12):
        now = NOW + second * SECOND
        workers["late"].tell(late, now - timedelta(minutes=3))
        found[second] = waiting.behind(store, now)
    assert found[0] == Behind(late=(dead, late))
    assert found[9] == found[0]
    assert found[11] == Behind(late=(late,), silent=(dead,))
    workers["late"].tell(NEW, NOW)
    assert waiting.behind(store, NOW + 12 * SECOND) == Behind(silent=(dead,))


def test_a_worker_that_renews_its_report_in_a_long_load_is_not_silent(store: SqliteStore) -> None:
    """It has the old digest, and is waited for however long it takes."""
    own = OwnReport(store, "w")
    own.renew(NOW)
    assert reported(store, NOW) == []
    own.tell(OLD, NOW)
    waiting = Waiting("new")
    for second in range(30):
        own.renew(NOW + second * SECOND)
        assert waiting.behind(store, NOW + second * SECOND) == Behind(late=(OLD,))


def test_a_store_that_is_away_stops_no_worker(tmp_path: Path) -> None:
    """It hears the report when it is back."""
    own = OwnReport(SqliteStore(tmp_path / "none" / "broker.db"), "w")
    own.tell(OLD, NOW)
    assert own._last is None
    own.drop()
