"""The sweep of the store: what has expired goes, by one machine at a time and in small batches."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.sqlite import SqliteStore, prepare
from broker.core.ports import Key, StoredRecord
from broker.use_cases.storage.worker_loop import StoreSweep

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Clock:
    """A time that a test sets."""

    now = NOW

    def __call__(self) -> datetime:
        """Give it."""
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    """Give a store with 300 records that end in an hour and one that stays."""
    prepare(tmp_path / "broker.db")
    found = SqliteStore(tmp_path / "broker.db")
    for number in range(300):
        found.put(Key("reference", str(number)), StoredRecord(b"x", "v", NOW + timedelta(hours=1)), None, NOW)
    found.put(Key("reference", "stays"), StoredRecord(b"x", "v", NOW + timedelta(days=1)), None, NOW)
    return found


def rows(store: SqliteStore) -> int:
    """Count the rows of the file, expired or not."""
    with store._take_connection() as connection:
        (count,) = connection.execute("SELECT count(*) FROM record").fetchone()
    return int(count)


def test_all_that_has_expired_goes_in_one_turn(store: SqliteStore) -> None:
    """Batch after batch until there is no more; what still counts stays."""
    clock = Clock()
    sweep = StoreSweep(store, clock)
    sweep.step()
    assert rows(store) == 301
    clock.now = NOW + timedelta(hours=2)
    sweep.step()
    assert rows(store) == 1
    assert store.get(Key("reference", "stays"), clock.now)


def test_one_machine_sweeps_and_not_more_often_than_every_ten_seconds(store: SqliteStore) -> None:
    """The others leave it to the one that has the turn."""
    clock, batches = Clock(), []

    class Counting(SqliteStore):
        def sweep(self, now: datetime) -> bool:
            batches.append(now)
            return False

    several: list[Any] = [StoreSweep(Counting(store._path), clock) for _ in range(3)]
    for seconds in range(31):
        clock.now = NOW + timedelta(seconds=seconds)
        for each in several:
            each.step()
    assert batches == [NOW + timedelta(seconds=seconds) for seconds in (0, 10, 20, 30)]
