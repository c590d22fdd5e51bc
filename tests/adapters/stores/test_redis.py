"""The Redis store on real servers, beyond the conformance suite."""

import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import redis_connection
from broker.adapters.stores.open_store import open_store
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store
from tests.plugins.redis_server import KEEPING, RedisServer

pytestmark = pytest.mark.server

NOW = datetime(2031, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
KEY = Key("person", "g", "n")
MARKER = b"0101010000"
Start = Callable[..., RedisServer]
CALLS: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get(KEY, NOW),
    "put": lambda store: store.put(KEY, Kept(MARKER, "1", LATER), None, NOW),
    "durable put": lambda store: store.put(KEY, Kept(MARKER, "1", LATER), None, NOW, durable=True),
    "drop": lambda store: store.drop(KEY),
    "list": lambda store: list(store.list("person", None, NOW)),
    "list group": lambda store: list(store.list("person", "g", NOW)),
    "claim": lambda store: store.claim("person", None, "c", NOW, NOW),
    "count": lambda store: store.count(KEY, 1, LATER, NOW),
    "faults": lambda store: store.faults(),
}


def _open(url: str, **options: bool) -> Store:
    return open_store(url, Path(), **options)


def _put(store: Store, version: str = "1") -> bool:
    return store.put(KEY, Kept(MARKER, version, LATER, NOW), None, NOW, durable=True)


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
    monkeypatch.setitem(redis_connection._SETTINGS, "socket_timeout", 0.2)
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
        store.put(Key("reference", "g", name), Kept(MARKER, "1", LATER), None, NOW)
    store.put(Key("reference", "g", "m"), Kept(MARKER, "1", NOW + timedelta(hours=1)), None, NOW)
    store.count(KEY, 1, LATER, NOW)
    day, leeway = timedelta(days=1), timedelta(minutes=5)
    with redis_server.client() as client:
        lives = {key: timedelta(milliseconds=int(client.pttl(key))) for key in client.scan_iter()}
    assert len(lives) == 5
    short = [life for key, life in lives.items() if key.endswith(b"g/m")]
    assert all(timedelta(hours=1) < life <= timedelta(hours=1) + leeway for life in short)
    assert sorted(day < life <= day + leeway for life in lives.values()) == [False] + [True] * 4
