"""Acknowledged writes when a Redis dies, is replaced, or moves a slot."""

import secrets
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker.adapters.stores import redis, redis_connection, redis_scripts
from broker.adapters.stores.open_store import open_store
from broker.adapters.stores.redis import RedisStore
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, Store, StoredRecord
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
    return store.put(KEY, StoredRecord(MARKER, version, LATER, NOW), None, NOW, durable=True)


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


def test_the_wait_for_a_replica_ends_before_that_for_redis() -> None:
    """Without an end, or with a later one, a replica that is slow would be told as a Redis that does not answer."""
    assert 0 < redis._REPLICA_WAIT < 1000 * redis_connection._CONNECTION_SETTINGS["socket_timeout"]


def test_durable_waits_for_a_replica(pair: tuple[RedisServer, RedisServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a replica attached a durable put stands only once it has it; a retry does not get round that."""
    master, replica = pair
    with replica.client() as copy:
        store = _open(master.url)
        assert _put(store)
        record = redis_scripts.make_keys(KEY).record
        assert copy.hget(record, "v") == MARKER
        replica.signal(signal.SIGSTOP)
        try:
            second = StoredRecord(b"second", "2", LATER)
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


def test_a_dead_server_of_a_cluster_hides_no_other(redis_server: RedisServer) -> None:
    """While one is down, a broker can start: the settings of the others are checked."""
    dead = SimpleNamespace(name="dead", host="10.0.0.1", redis_connection=RedisServer(Path()).client())
    alive = SimpleNamespace(name="alive", host="10.0.0.2", redis_connection=redis_server.client())
    client = SimpleNamespace(get_nodes=lambda: [dead, alive], get_primaries=lambda: [dead, alive])
    assert redis_connection.list_hosts(client) == ("10.0.0.1", "10.0.0.2")
    assert redis_connection.find_loss_faults(client) == ()
    with alive.redis_connection as server:
        server.config_set("appendfsync", "everysec")
        (fault,) = redis_connection.find_loss_faults(client)
        server.config_set("appendfsync", "always")
    assert "Redis alive has appendfsync everysec" in fault
    # A server of a Cluster that has taken over has no replica until the other one is back.
    assert list(redis_connection.find_unreplicated_writes(client)) == []


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
        return store.put(Key("reference", "g"), StoredRecord(b"", secrets.token_hex(8), LATER), None, NOW, durable=True)
    except StoreUnavailable:
        return False


def test_a_moved_slot_is_followed(redis_cluster: tuple[RedisServer, ...], redis_cluster_url: str) -> None:
    """A durable put fails if its slot went to another server. The next read follows the slot, and the put works."""
    store = _open(redis_cluster_url)
    assert isinstance(store, RedisStore)
    assert _put(store)
    store.drop(KEY)
    slot = store._connect().keyslot(redis_scripts.make_keys(KEY).record)
    port = store._connect().get_node_from_key(redis_scripts.make_keys(KEY).record).port
    owner = next(node for node in redis_cluster if node.port == port)
    other = next(node for node in redis_cluster if node is not owner)
    _give(redis_cluster, slot, other)
    with pytest.raises(StoreUnavailable, match="MovedError"):
        _put(store)
    assert store.get(KEY, NOW) is None
    assert _put(store)
    with other.client() as client:
        assert client.keys() != []
    store.drop(KEY)
    _give(redis_cluster, slot, owner)
    assert store.get(KEY, NOW) is None


def _give(nodes: tuple[RedisServer, ...], slot: int, to: RedisServer) -> None:
    with to.client() as client:
        name = client.execute_command("CLUSTER", "MYID")
    for node in sorted(nodes, key=lambda node: node is not to):
        with node.client() as client:
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)
