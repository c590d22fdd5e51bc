"""Records of one type: compare-and-set for each write, durable as the kind says, and no fact lost to another's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, Store, StoredRecord
from broker.use_cases.storage.records import MOST_TRIES, Content, Record, Records, dump
from tests.plugins.example_counts import scale_examples
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
    """Calls ``before_put`` before each write; ``durable`` says how each was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.before_put: Callable[[], None] = lambda: None
        self.durable: list[bool] = []
        self.gets = 0

    def get(self, key: Key, now: datetime) -> StoredRecord | None:
        """Read, and count."""
        self.gets += 1
        return super().get(key, now)

    def put(
        self, key: Key, record: StoredRecord, expected_version: str | None, now: datetime, *, durable: bool = False
    ) -> bool:
        """Write, and note how."""
        self.before_put()
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


def test_a_write_that_always_loses_ends() -> None:
    """After eight tries, StoreUnavailable: what loses for ever is a fault, not a race."""
    store, names = WatchedStore(), count()
    records = tallies(store)

    def interfere() -> None:
        version = str(next(names))
        store.records[KEY] = StoredRecord(dump(Tally((version,))), version, UNTIL)

    store.before_put = interfere
    seen: list[tuple[str, ...] | None] = []

    def change(record: Record[Tally] | None) -> Content[Tally]:
        seen.append(record.value.names if record else None)
        return Content(Tally(("ours",)), UNTIL)

    with pytest.raises(StoreUnavailable):
        records.amend(KEY, change, NOW)
    assert seen == [None, *((str(number),) for number in range(MOST_TRIES - 1))]


class TwoWriters(RuleBasedStateMachine):
    """Two writers with whatever they have read so far, against a model that keeps value and number of writes."""

    read: Bundle[Any] = Bundle("read")

    def __init__(self) -> None:
        super().__init__()
        self.store = WatchedStore()
        self.records = tallies(self.store)
        self.now = NOW
        self.model: tuple[Tally, str, datetime] | None = None

    def expire(self) -> None:
        """Let what has ended be gone in the model."""
        if self.model and self.model[2] <= self.now:
            self.model = None

    def wrote(self, record: Record[Tally] | None, *, may: bool) -> Record[Tally] | None:
        """Hold what a write gave against whether it had to succeed."""
        assert (record is not None) is may
        if record:
            self.model = (record.value, record.version, record.until)
        return record

    @rule(target=read)
    def get(self) -> Record[Tally] | None:
        """Read."""
        record = self.records.get(KEY, self.now)
        assert (record and (record.value, record.version, record.until)) == self.model
        return record

    @rule(target=read, names=st.lists(st.sampled_from("ab"), max_size=2), minutes=st.integers(1, 3))
    def add(self, names: list[str], minutes: int) -> Record[Tally] | None:
        """Add, which only the first does."""
        until = self.now + timedelta(minutes=minutes)
        free = self.model is None
        return self.wrote(self.records.add(KEY, Tally(tuple(names)), until, self.now), may=free)

    @rule(target=read, record=read, name=st.sampled_from("ab"))
    def replace(self, record: Record[Tally] | None, name: str) -> Record[Tally] | None:
        """Replace what was read some time, which only the latest reader does."""
        if record is None:
            return None
        newest = self.model is not None and self.model[1] == record.version
        after = replace(record.value, names=(*record.value.names, name))
        return self.wrote(write_over(self.records, record, after, self.now), may=newest)

    @rule(target=read, record=st.none() | read, name=st.sampled_from("ab"))
    def amend(self, record: Record[Tally] | None, name: str) -> Record[Tally] | None:
        """Amend, by whatever was read before; it is counted beside all that are there."""
        before = self.model[0].names if self.model else ()
        amended = self.records.amend(KEY, counting(name), self.now, read=record)
        assert amended.written
        assert amended.record
        assert amended.record.value.names == (*before, name)
        return self.wrote(amended.record, may=True)

    @rule()
    def drop(self) -> None:
        """Drop."""
        self.records.drop(KEY)
        self.model = None

    @rule(seconds=st.sampled_from([1, 60, 180]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.expire()

    @invariant()
    def check_kept(self) -> None:
        """Hold what is kept against the model."""
        record = self.records.get(KEY, self.now)
        assert (record and record.value) == (self.model and self.model[0])


TestTwoWriters = TwoWriters.TestCase
TestTwoWriters.settings = settings(max_examples=scale_examples(60), stateful_step_count=25)
TestTwoWriters.__doc__ = "Whatever two writers do in whatever order, a write by an old version writes nothing."
