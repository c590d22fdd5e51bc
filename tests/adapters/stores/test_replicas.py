"""Acknowledged writes when a Redis dies, is replaced, or moves a slot."""

import secrets
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import redis, redis_scripts
from broker.adapters.stores.open_store import open_store
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store
from tests.plugins.programs import wait_until
from tests.plugins.redis_server import KEEPING, RedisServer

pytestmark = pytest.mark.server

NOW = datetime(2031, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
KEY = Key("person", "g", "n")
MARKER = b"0101010000"
Start = Callable[..., RedisServer]


def _open(url: str, **options: bool) -> Store:
    return open_store(url, Path(), **options)


def _put(store: Store, version: str = "1") -> bool:
    return store.put(KEY, Kept(MARKER, version, LATER, NOW), None, NOW, durable=True)


@pytest.fixture
def pair(start: Start, monkeypatch: pytest.MonkeyPatch) -> tuple[RedisServer, RedisServer]:
    """Give a master and the replica that follows it, which has its time: the machine may be busy."""
    monkeypatch.setattr(redis, "_REPLICA_WAIT", 4_000)
    master = start(*KEEPING, "--repl-diskless-sync-delay", "0")
    replica = start(*KEEPING, "--replicaof", "127.0.0.1", str(master.port))
    with master.client() as client:
        client.set("begun", "1")
        wait_until(lambda: bool(client.wait(1, 100)))
    return master, replica


def test_durable_waits_for_a_replica(pair: tuple[RedisServer, RedisServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a replica attached a durable put stands only once it has it; a retry does not get round that."""
    master, replica = pair
    with replica.client() as copy:
        store = _open(master.url)
        assert _put(store)
        record = redis_scripts.place(KEY).record
        assert copy.hget(record, "v") == MARKER
        replica.signal(signal.SIGSTOP)
        try:
            second = Kept(b"second", "2", LATER)
            with monkeypatch.context() as patched:
                patched.setattr(redis, "_REPLICA_WAIT", 200)
                for worker in (store, store, _open(master.url)):
                    with pytest.raises(StoreUnavailable, match="replica"):
                        worker.put(KEY, second, "1", NOW, durable=True)
            assert store.put(Key("reference", "g"), second, None, NOW)
        finally:
            replica.signal(signal.SIGCONT)
        assert store.put(KEY, second, "1", NOW, durable=True)
        assert copy.hget(record, "v") == b"second"


def test_a_master_that_may_write_without_its_replicas_is_named(pair: tuple[RedisServer, RedisServer]) -> None:
    """A master that is cut off would confirm writes that the failover forgets; the broker starts all the same."""
    master, replica = pair
    store = _open(master.url)
    (warning,) = store.warnings()
    assert "min-replicas-to-write 0; set it to 1" in warning
    assert list(store.faults()) == []
    with master.client() as client:
        client.config_set("min-replicas-to-write", "1")
    assert (list(store.warnings()), list(_open(replica.url).warnings())) == ([], [])


def test_sentinel_leads_to_the_new_master(pair: tuple[RedisServer, RedisServer], start: Start) -> None:
    """When the master is killed and its replica promoted, what was acknowledged is there and writes go on.

    The Sentinel has a password of its own.
    """
    master, replica = pair
    sentinel = start("--sentinel")
    with sentinel.client() as client:
        client.execute_command("ACL", "SETUSER", "default", ">aabb")
        client.execute_command("SENTINEL", "MONITOR", "books", "127.0.0.1", master.port, 1)
        wait_until(lambda: bool(client.execute_command("SENTINEL", "REPLICAS", "books")))
        url = sentinel.url.replace("redis://", "redis+sentinel://").removesuffix("/0")
        store = _open(f"{url}/books?sentinel_password=aabb")
        assert list(store.faults()) == []
        assert _put(store)
        master.kill()
        # Only now: a busy machine, on which nobody is heard for a moment, is no reason to promote anybody.
        client.execute_command("SENTINEL", "SET", "books", "down-after-milliseconds", 300)
    wait_until(lambda: _writes(store))
    found = store.get(KEY, NOW)
    assert found is not None
    assert found.value == MARKER
    with replica.client() as client:
        assert client.role()[0] == b"master"


def _writes(store: Store) -> bool:
    try:
        return store.put(Key("reference", "g"), Kept(b"", secrets.token_hex(8), LATER), None, NOW, durable=True)
    except StoreUnavailable:
        return False
