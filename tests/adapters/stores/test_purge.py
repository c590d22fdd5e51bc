"""What is dropped is gone from the files too: of SQLite, of a Redis and of its replica."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ResponseError

from broker.adapters.stores import redis_files, sqlite
from broker.adapters.stores.open_store import open_store
from broker.core.ports import Kept, Key, Store
from tests.plugins.lying_files import lying_files
from tests.plugins.redis_server import KEEPING, RedisServer

NOW = datetime(2031, 1, 1, tzinfo=UTC)
GONE = Key("reference", "k1.gone-of-the-person")
STAYS = Key("reference", "k1.stays-of-another")
_PATIENCE = 60.0  # seconds
Start = Callable[..., RedisServer]


def _written(store: Store) -> None:
    for number in range(3):
        for key in (GONE, STAYS):
            value = f"{key.group} value {number}".encode()
            before = store.get(key, NOW)
            kept = Kept(value, str(number), NOW + timedelta(days=1))
            assert store.put(key, kept, before.version if before else None, NOW)


def _lying(folder: Path) -> bytes:
    return b"".join(octets for path, octets in lying_files(folder) if path.name != "log")


def _is_gone(folder: Path) -> bool:
    lying = _lying(folder)
    assert b"stays-of-another value 2" in lying
    return b"gone-of-the-person" not in lying


def test_sqlite_keeps_nothing_of_it_in_file_or_log(tmp_path: Path) -> None:
    """The log holds the dropped value until it is cut to nothing, with every value of before."""
    store = open_store("sqlite:broker.db", tmp_path)
    _written(store)
    store.drop(GONE)
    assert not _is_gone(tmp_path)
    assert store.purge() == ()
    assert _is_gone(tmp_path)
    assert (tmp_path / "broker.db-wal").stat().st_size == 0


def test_a_reader_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log cannot be cut under a reader: pending until it has ended."""
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)
    store = open_store("sqlite:broker.db", tmp_path)
    _written(store)
    with closing(sqlite3.connect(tmp_path / "broker.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM record").fetchone()
        store.drop(GONE)
        (told,) = store.purge()
        assert "broker.db-wal is being read" in told
        reader.execute("COMMIT")
    assert store.purge() == ()
    assert _is_gone(tmp_path)


@pytest.mark.server
def test_redis_and_its_replica_write_their_files_anew(start: Start) -> None:
    """Append-only file and snapshot, on both: each held it before."""
    master = start(*KEEPING, "--repl-diskless-sync-delay", "0")
    replica = start(*KEEPING, "--replicaof", "127.0.0.1", str(master.port))
    store = open_store(master.url, Path())
    _written(store)
    with master.client() as client, replica.client() as copy:
        _until(lambda: bool(client.wait(1, 100)))
        for server in (client, copy):
            _until(partial(_has_saved, server))  # the master saves for the replica that has just come
            _until(partial(_begins_to_save, server))
            _until(partial(_has_saved, server))
    store.drop(GONE)
    assert not _is_gone(master.folder)
    assert not _is_gone(replica.folder)
    assert store.purge() == ()
    # The old file is unlinked by a thread of the server's.
    _until(lambda: _is_gone(master.folder) and _is_gone(replica.folder))


@pytest.mark.parametrize(("refusals", "begun"), [(0, True), (4, True), (5, False)])
def test_a_writing_that_came_between_is_waited_for(refusals: int, begun: bool) -> None:
    """A replica that connects has its master save at that moment: no fault of the broker's user."""
    server = _Busy(refusals)
    assert redis_files._is_begun(server, "BGSAVE") is begun


class _Busy:
    """A Redis that is at another file so many times."""

    def __init__(self, refusals: int) -> None:
        self.left = refusals

    def execute_command(self, _: str) -> None:
        """Refuse while another file is being written."""
        self.left -= 1
        if self.left >= 0:
            raise ResponseError("Background save already in progress")

    def info(self, _: str) -> dict[str, int]:
        """Say that it has ended by now."""
        return {}


@pytest.mark.server
def test_redis_that_does_not_allow_it_is_told(start: Start) -> None:
    """Each server that the broker's user may not have write its files anew is named, with what to do."""
    server = start(*KEEPING)
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "broker", "on", ">secret", "~*", "+@all", "-bgrewriteaof", "-bgsave")
    store = open_store(f"redis://broker:secret@127.0.0.1:{server.port}/0", Path())
    _written(store)
    assert store.purge() == (
        "Redis does not allow BGREWRITEAOF, BGSAVE or INFO to the broker's user; run both there, and wait for them.",
    )


@pytest.mark.server
def test_every_node_of_a_cluster_does(redis_cluster: tuple[RedisServer, ...], redis_cluster_url: str) -> None:
    """Whichever of them held it."""
    store = open_store(redis_cluster_url, Path())
    _written(store)
    store.drop(GONE)
    assert store.purge() == ()
    _until(lambda: all(b"gone-of-the-person" not in _lying(node.folder) for node in redis_cluster))


@pytest.mark.server
def test_a_replica_that_is_down_is_told(start: Start) -> None:
    """Its files hold what was dropped. Sentinel names it; a server alone remembers its last replica for an hour."""
    master = start(*KEEPING, "--repl-diskless-sync-delay", "0")
    replica = start(*KEEPING, "--replicaof", "127.0.0.1", str(master.port))
    sentinel = start("--sentinel")
    with sentinel.client() as client:
        client.execute_command("SENTINEL", "MONITOR", "books", "127.0.0.1", master.port, 1)
        client.execute_command("SENTINEL", "SET", "books", "down-after-milliseconds", 900)
        _until(lambda: bool(client.execute_command("SENTINEL", "REPLICAS", "books")))
    watched = open_store(f"redis+sentinel://127.0.0.1:{sentinel.port}/books", Path())
    _until(lambda: watched.purge() == ())
    replica.kill()
    back = "when it is back and has caught up, run BGREWRITEAOF and BGSAVE there."
    _until(lambda: watched.purge() == (f"The replica 127.0.0.1:{replica.port} is down; {back}",))
    assert open_store(master.url, Path()).purge() == (f"A replica of Redis is down; {back}",)


def test_a_replica_of_a_cluster_that_is_down_is_told() -> None:
    """By the Cluster's own record of its nodes."""
    nodes = {
        "127.0.0.1:1@11": {"flags": "master", "connected": False},
        "127.0.0.1:2@12": {"flags": "slave", "connected": True},
        "127.0.0.1:3@13": {"flags": "slave,fail?", "connected": True},
        "127.0.0.1:4@14": {"flags": "myself,slave", "connected": False},
    }
    client = SimpleNamespace(get_nodes=list, cluster_nodes=lambda: nodes)
    assert [each.split()[2] for each in redis_files._down(client)] == ["127.0.0.1:3", "127.0.0.1:4"]


def _begins_to_save(server: Any) -> bool:
    """Ask for a snapshot; False while the server writes another file."""
    try:
        server.execute_command("BGSAVE")
    except ResponseError:
        return False
    return True


def _has_saved(server: Any) -> bool:
    return not server.info("persistence")["rdb_bgsave_in_progress"]


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < until, "it did not come about within a minute"
        time.sleep(0.02)
