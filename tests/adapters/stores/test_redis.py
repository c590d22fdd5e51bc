"""The Redis store on real servers, beyond the conformance suite; and acknowledged writes when a Redis dies."""

import secrets
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import redis, redis_connection, redis_scripts
from broker.adapters.stores.open_store import open_store
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, Store, StoredRecord
from tests.adapters.stores.test_sqlite import CALLS
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((), ["appendonly", "appendfsync"]),
        (("--appendonly", "yes"), ["appendfsync"]),
        ((*KEEPING, "--maxmemory-policy", "allkeys-lru"), ["maxmemory-policy"]),
        ((*KEEPING, "--no-appendfsync-on-rewrite", "yes"), ["no-appendfsync-on-rewrite"]),
        (KEEPING, []),
    ],
)
def test_settings_that_lose_writes_are_faults(start: Start, settings: tuple[str, ...], words: list[str]) -> None:
    """Redis as Debian ships it, and each setting that may lose what was acknowledged, is named with the remedy."""
    server = start(*settings)
    faults = _open(server.url).faults()
    assert len(faults) == len(words)
    assert all(word in fault for word, fault in zip(words, faults, strict=True))
    assert list(_open(server.url, accept_loss=True).faults()) == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["redis", "redis+cluster", "redis+sentinel"])
def test_a_redis_that_is_not_there_is_unavailable(kind: str, call: str) -> None:
    """Every call raises StoreUnavailable, which quotes neither value nor password."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        store = _open(f"{kind}://:hemmeligt@127.0.0.1:{closed.getsockname()[1]}" + "/books" * kind.endswith("sentinel"))
        with pytest.raises(StoreUnavailable) as refused:
            CALLS[call](store)
    assert refused.value.http == 503
    assert not any(word in str(refused.value) for word in ("hemmeligt", "0101010000", "127.0.0.1"))


def test_a_redis_that_hangs_is_unavailable(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the question and never answers costs a request the timeout, not its thread."""
    server = start(*KEEPING)
    assert _put(_open(server.url))
    monkeypatch.setitem(redis_connection._CONNECTION_SETTINGS, "socket_timeout", 0.2)
    impatient = _open(server.url)
    server.signal(signal.SIGSTOP)
    with pytest.raises(StoreUnavailable):
        _put(impatient, "2")
    server.signal(signal.SIGCONT)
    monkeypatch.undo()
    assert _open(server.url).get(KEY, NOW) is not None


def test_forgotten_scripts_are_sent_again(redis_server: RedisServer, redis_url: str) -> None:
    """A server that was restarted knows no script, and nobody notices."""
    store = _open(redis_url)
    for call in CALLS.values():
        call(store)
        with redis_server.client() as client:
            client.script_flush()
        call(store)


def test_redis_cleans_up_what_has_expired(redis_server: RedisServer, redis_url: str) -> None:
    """Every key has a time to live that reaches beyond ``until`` and not far, so that nothing stays for ever."""
    store = _open(redis_url)
    for name in ("", "n"):
        store.put(Key("reference", "g", name), StoredRecord(MARKER, "1", LATER), None, NOW)
    store.put(Key("reference", "g", "m"), StoredRecord(MARKER, "1", NOW + timedelta(hours=1)), None, NOW)
    store.count(KEY, 1, LATER, NOW)
    day, leeway = timedelta(days=1), timedelta(minutes=5)
    with redis_server.client() as client:
        lives = {key: timedelta(milliseconds=int(client.pttl(key))) for key in client.scan_iter()}
    assert len(lives) == 5
    short = [life for key, life in lives.items() if key.endswith(b"g/m")]
    assert all(timedelta(hours=1) < life <= timedelta(hours=1) + leeway for life in short)
    assert sorted(day < life <= day + leeway for life in lives.values()) == [False] + [True] * 4


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
