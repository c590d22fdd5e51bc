"""When a record, a lease and a counter end in each store: ``until`` is the first moment without."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.ports import Kept, Key, Store, lease_of

UNTIL = datetime(2031, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
BEGAN = UNTIL - timedelta(minutes=1)
LATER = UNTIL + timedelta(days=1)
KEY = Key("person", "g", "n")
# What is asked at a moment of a record that ends at UNTIL, was due at its beginning, and is counted once.
ASKED: dict[str, Callable[[Store, datetime], bool]] = {
    "get": lambda store, now: store.get(KEY, now) is not None,
    "list of its group": lambda store, now: bool(list(store.list(KEY.kind, KEY.group, now))),
    "list of its kind": lambda store, now: bool(list(store.list(KEY.kind, None, now))),
    "claim in its group": lambda store, now: store.claim(KEY.kind, KEY.group, "c", now + TICK, now) is not None,
    "claim in its kind": lambda store, now: store.claim(KEY.kind, None, "c", now + TICK, now) is not None,
    "is replaced": lambda store, now: store.put(KEY, Kept(b"", "2", LATER), "1", now),
    "keeps others out": lambda store, now: not store.put(KEY, Kept(b"", "2", LATER), None, now),
    "its own put again": lambda store, now: store.put(KEY, Kept(b"", "1", LATER), "0", now),
    "count goes on": lambda store, now: store.count(KEY, 1, LATER, now) == 2,
}


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Give each store with the record and the counter in it."""
    store = open_store(request.getfixturevalue("redis_url") if request.param == "redis" else "sqlite:b.db", tmp_path)
    store.put(KEY, Kept(b"value", "1", UNTIL, BEGAN), None, BEGAN)
    store.count(KEY, 1, UNTIL, BEGAN)
    return store


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(("at", "valid"), [(UNTIL - TICK, True), (UNTIL, False), (UNTIL + TICK, False)])
def test_until_is_the_first_moment_without(store: Store, asked: str, at: datetime, *, valid: bool) -> None:
    """The same in every way to ask: one that looked a moment longer would show what another no longer finds."""
    assert ASKED[asked](store, at) is valid


@pytest.mark.parametrize("group", [None, "g"])
@pytest.mark.parametrize(("at", "due"), [(BEGAN - TICK, False), (BEGAN, True), (BEGAN + TICK, True)])
def test_due_is_the_first_moment_to_claim(store: Store, group: str | None, at: datetime, *, due: bool) -> None:
    """And the end of a lease the first moment to claim again."""
    lease = timedelta(seconds=1)
    assert (store.claim(KEY.kind, group, "c", at + lease, at) is not None) is due
    if due:
        assert store.claim(KEY.kind, group, "d", at + lease, at + lease - TICK) is None
        assert store.claim(KEY.kind, group, "d", at + 2 * lease, at + lease) is not None


def test_a_claim_leaves_the_lease_of_another_record_alone(store: Store) -> None:
    """One that is claimed again, or finished, neither frees nor prolongs what its neighbour in the group has."""
    other = Key("person", "g", "other")
    store.put(other, Kept(b"other", "1", UNTIL, BEGAN), None, BEGAN)
    leases = {}
    for token, lease in (("first", timedelta(seconds=10)), ("second", timedelta(seconds=20))):
        claimed = store.claim("person", "g", token, BEGAN + lease, BEGAN)
        assert claimed is not None
        leases[claimed[0]] = Kept(b"", token, BEGAN + lease)
    assert leases.keys() == {KEY, other}
    first, second = leases
    assert store.put(first, Kept(b"done", "2", UNTIL), "1", BEGAN)
    assert store.get(lease_of(second), BEGAN) == leases[second]
    assert store.claim("person", "g", "third", UNTIL, BEGAN + timedelta(seconds=20) - TICK) is None
    for key in (first, lease_of(first)):
        store.drop(key)
    assert store.get(lease_of(second), BEGAN) == leases[second]


def test_the_seal_hands_on_what_is_asked_to_be_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An enrolment that was acknowledged under the seal survives a power cut as one beside it does."""
    asked: list[bool] = []

    def noted(*_: object, durable: bool = False) -> bool:
        asked.append(durable)
        return True

    monkeypatch.setattr(SqliteStore, "put", noted)
    sealed = EncryptedStore(open_store("sqlite:b.db", tmp_path), {"k1": b"k" * 32}, "k1")
    kept = Kept(b"value", "1", UNTIL)
    sealed.put(KEY, kept, None, BEGAN)
    sealed.put(KEY, kept, None, BEGAN, durable=True)
    sealed.put(KEY, kept, None, BEGAN, durable=False)
    assert asked == [False, True, False]
