"""Each store against a model of it: whatever is done in whatever order, both answer alike."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from broker.adapters.stores.open_store import open_store
from broker.core.ports import Kept, Key, Store, Write, lease_key
from broker.core.retention import RecordKind
from tests.plugins.example_counts import scale_examples

START = datetime(2031, 1, 1, tzinfo=UTC)
KEYS = st.builds(Key, st.sampled_from(["person", "reference"]), st.sampled_from(["g", "h"]), st.sampled_from(["", "n"]))
PLACES = KEYS | KEYS.map(lease_key)
SPANS = st.integers(0, 6).map(lambda minutes: timedelta(minutes=minutes))
VERSIONS = st.sampled_from(["1", "2", "3"])


class Alike(RuleBasedStateMachine):
    """Does to a store and to a dict what hypothesis thinks of."""

    def __init__(self, store: Store, now: datetime) -> None:
        super().__init__()
        self.store = store
        self.now = now
        self.records: dict[Key, Kept] = {}
        self.counters: dict[Key, tuple[int, datetime]] = {}

    def present(self, key: Key) -> Kept | None:
        """Give what the model holds, unless it has expired."""
        found = self.records.get(key)
        return found if found and found.until > self.now else None

    @rule(span=SPANS)
    def wait(self, span: timedelta) -> None:
        """Let time pass."""
        self.now += span

    @rule(
        key=PLACES, version=VERSIONS, was=VERSIONS | st.none(), keep=SPANS, due=SPANS | st.none(), durable=st.booleans()
    )
    def put(
        self, key: Key, version: str, was: str | None, keep: timedelta, due: timedelta | None, *, durable: bool
    ) -> None:
        """See a put stand in both or in neither."""
        kept = Kept(version.encode(), version, self.now + keep, None if due is None else self.now + due)
        found = self.present(key)
        standing = found and found.version
        assert self.store.put(key, kept, was, self.now, durable=durable) is (standing in (was, version))
        if standing == was != version:
            self.records[key] = kept

    @rule(keys=st.lists(PLACES, min_size=1, max_size=4), version=VERSIONS, was=VERSIONS | st.none(), keep=SPANS)
    def put_many(self, keys: "list[Key]", version: str, was: str | None, keep: timedelta) -> None:
        """See the others stand each for itself, and only where the first stands."""
        kept = Kept(version.encode(), version, self.now + keep)
        standing = [(found := self.present(key)) and found.version for key in keys[:1]]
        stands = standing[0] in (was, version)
        writes = [Write(key, kept, was) for key in keys]
        assert self.store.put_many(writes[0], writes[1:], self.now) is stands
        for key in keys if stands else ():
            found = self.present(key)
            if (found and found.version) == was != version:
                self.records[key] = kept

    @rule(key=PLACES)
    def drop(self, key: Key) -> None:
        """Drop record and counter."""
        self.store.drop(key)
        self.records.pop(key, None)
        self.counters.pop(key, None)

    @rule(key=KEYS, by=st.integers(-3, 3), keep=SPANS)
    def count(self, key: Key, by: int, keep: timedelta) -> None:
        """Count to the same sum in both; nothing added is a look that begins no counter."""
        total, until = self.counters.get(key, (0, self.now))
        if until <= self.now:
            total, until = 0, self.now + keep
        assert self.store.count(key, by, self.now + keep, self.now) == total + by
        if by:
            self.counters[key] = (total + by, until)

    @rule(
        kind=st.sampled_from(["person", "reference"]),
        group=st.sampled_from(["g", "h", None]),
        token=VERSIONS,
        lease=SPANS,
    )
    def claim(self, kind: RecordKind, group: str | None, token: str, lease: timedelta) -> None:
        """Claim one of those due earliest that are not leased, or nothing, in both."""
        due = {
            key: kept.due
            for key in self.records
            if (kept := self.present(key)) and kept.due and kept.due <= self.now and not self.present(lease_key(key))
        }
        wanted = {key: at for key, at in due.items() if key.kind == kind and group in (None, key.group)}
        claimed = self.store.claim(kind, group, token, self.now + lease, self.now)
        assert (claimed is None) is (not wanted)
        if claimed:
            key, kept = claimed
            assert wanted[key] == min(wanted.values())
            assert kept == self.records[key]
            self.records[lease_key(key)] = Kept(b"", token, self.now + lease)

    @rule(kind=st.sampled_from(["person", "reference", "lease"]), group=st.sampled_from(["g", "h", "person/g", None]))
    def list(self, kind: RecordKind, group: str | None) -> None:
        """See the same records in both, listed and one by one."""
        present = {key: kept for key in self.records if (kept := self.present(key))}
        listed = [*self.store.list(kind, group, self.now)]
        assert len(listed) == len(dict(listed))
        assert dict(listed) == {k: v for k, v in present.items() if k.kind == kind and group in (None, k.group)}
        keys = list(self.records)
        assert self.store.get_many(keys, self.now) == [present.get(key) for key in keys]
        for key in keys:
            assert self.store.get(key, self.now) == present.get(key)


@pytest.mark.parametrize("which", ["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def test_the_store_is_what_the_model_says(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """No sequence of puts, claims, drops, counts, lists and passing time tells a store from its model."""
    store = open_store(request.getfixturevalue("redis_url") if which == "redis" else "sqlite:broker.db", tmp_path)
    runs = iter(range(1_000_000))
    # Each run starts a day after the one before, when all that one wrote has expired.
    run_state_machine_as_test(
        lambda: Alike(store, START + next(runs) * timedelta(days=1)),  # type: ignore[arg-type]
        settings=settings(
            max_examples=scale_examples(60),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
