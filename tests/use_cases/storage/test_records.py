"""Records of one type: compare-and-set for each write, durable as the kind says, and no fact lost to another's."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.ports import Key, Store, StoredRecord
from broker.use_cases.storage.records import Content, Record, Records
from tests.plugins.memory_store import MemoryStore

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(hours=1)
SOON = NOW + timedelta(minutes=1)
BEYOND = timedelta(seconds=5)
INSTANT = timedelta(microseconds=1)
KEY = Key("mail", "g", "n")


@dataclass(frozen=True, slots=True)
class Tally:
    """A fact to keep: the names of those that were counted."""

    names: tuple[str, ...]


NOBODY = Tally(())


class WatchedStore(MemoryStore):
    """Notes of each write whether it is durable."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: list[bool] = []

    def put(
        self, key: Key, record: StoredRecord, expected_version: str | None, now: datetime, *, durable: bool = False
    ) -> bool:
        """Write, and note how."""
        self.durable.append(durable)
        return super().put(key, record, expected_version, now, durable=durable)


def tallies(store: Store, *, durable: bool = False) -> Records[Tally]:
    """Give the tallies of a store."""
    return Records(store, Tally, durable=durable)


def write_over(
    records: Records[Tally], record: Record[Tally], value: Tally, now: datetime, due: datetime | None = None
) -> Record[Tally] | None:
    """Write in the place of a record, unless another wrote since it was read."""
    return records.write(record.key, Content(value, record.until, due), record.version, now)


def counting(name: str) -> Callable[[Record[Tally] | None], Content[Tally]]:
    """Give a change that counts ``name``."""

    def count_name(record: Record[Tally] | None) -> Content[Tally]:
        names = record.value.names if record else ()
        return Content(Tally((*names, name)), UNTIL)

    return count_name


@pytest.mark.parametrize("durable", [False, True])
def test_a_kind_is_durable_in_each_of_its_writes_or_in_none(*, durable: bool) -> None:
    """The store waits for the disk exactly if the kind is durable."""
    store = WatchedStore()
    records = tallies(store, durable=durable)
    added = records.add(KEY, NOBODY, UNTIL, NOW)
    assert added
    assert write_over(records, added, Tally(("a",)), NOW)
    assert records.put(KEY, Tally(("b",)), UNTIL, NOW)
    assert records.amend(KEY, counting("c"), NOW).written
    assert store.durable == [durable] * 4


def test_a_record_keeps_its_end_when_it_is_replaced() -> None:
    """It keeps its place in the queue only if it is queued again."""
    records = tallies(WatchedStore())
    added = records.write(KEY, Content(NOBODY, UNTIL, SOON), None, NOW)
    assert added
    assert (added.until, added.due) == (UNTIL, SOON)
    first = write_over(records, added, Tally(("a",)), NOW)
    assert first
    assert (first.until, first.due) == (UNTIL, None)
    again = write_over(records, first, Tally(("b",)), NOW, due=SOON)
    assert records.get(KEY, NOW) == again
    assert again
    assert (again.until, again.due) == (UNTIL, SOON)


@pytest.mark.parametrize(("after", "free"), [(BEYOND - INSTANT, False), (BEYOND, True)])
def test_a_lease_ends_five_seconds_past_the_deadline(after: timedelta, *, free: bool) -> None:
    """That of the claim, and that of each renewal: the call under it has ended, or is cut off."""
    records = tallies(WatchedStore())
    records.write(KEY, Content(NOBODY, UNTIL, NOW), None, NOW)
    claimed = records.claim("mail", SOON, NOW)
    assert claimed
    assert bool(tallies(records.store).claim("mail", SOON, SOON + after)) is free
    later = tallies(WatchedStore())
    later.write(KEY, Content(NOBODY, UNTIL, NOW), None, NOW)
    renewed = later.claim("mail", NOW, NOW)
    assert renewed
    assert renewed.lease.renew(SOON, NOW)
    assert (later.claim("mail", SOON, SOON + after) is not None) is free


def test_a_lease_that_has_ended_is_nobody_s() -> None:
    """It is not renewed: who overslept it may be beside another already; and its end ends no lease of another."""
    records = tallies(WatchedStore())
    records.write(KEY, Content(NOBODY, UNTIL, NOW), None, NOW)
    first = records.claim("mail", NOW, NOW)
    assert first
    assert not first.lease.renew(SOON, NOW + BEYOND)
    second = records.claim("mail", SOON, NOW + BEYOND)
    assert second
    first.lease.end(NOW + BEYOND)
    assert records.claim("mail", SOON, NOW + BEYOND) is None
    second.lease.end(NOW + BEYOND)
    assert records.claim("mail", SOON, NOW + BEYOND)


def test_a_write_by_an_old_version_writes_nothing() -> None:
    """A change of the newest version keeps what another has written meanwhile."""
    records = tallies(WatchedStore())
    added = records.add(KEY, NOBODY, UNTIL, NOW)
    assert added
    assert records.add(KEY, NOBODY, UNTIL, NOW) is None
    assert write_over(records, added, Tally(("a",)), NOW)
    assert write_over(records, added, Tally(("b",)), NOW) is None
    amended = records.amend(KEY, counting("c"), NOW, read=added)
    assert amended.record
    assert records.get(KEY, NOW) == amended.record
    assert amended.record.value == Tally(("a", "c"))
