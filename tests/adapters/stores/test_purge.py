"""Dropped records also leave the files of SQLite and Redis."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from broker.adapters.stores import sqlite
from broker.adapters.stores.open_store import open_store
from broker.core.ports import Kept, Key, Store
from tests.plugins.folder_contents import read_folder_contents
from tests.plugins.programs import wait_until
from tests.plugins.redis_server import KEEPING, RedisServer

NOW = datetime(2031, 1, 1, tzinfo=UTC)
GONE = Key("reference", "k1.gone-of-the-person")
STAYS = Key("reference", "k1.stays-of-another")
Start = Callable[..., RedisServer]


def _write_and_drop(store: Store) -> None:
    for number in range(3):
        for key in (GONE, STAYS):
            value = f"{key.group} value {number}".encode()
            before = store.get(key, NOW)
            kept = Kept(value, str(number), NOW + timedelta(days=1))
            assert store.put(key, kept, before.version if before else None, NOW)


def _lying(folder: Path) -> bytes:
    return b"".join(octets for path, octets in read_folder_contents(folder) if path.name != "log")


def _is_gone(folder: Path) -> bool:
    lying = _lying(folder)
    assert b"stays-of-another value 2" in lying
    return b"gone-of-the-person" not in lying


def test_sqlite_keeps_nothing_of_it_in_file_or_log(tmp_path: Path) -> None:
    """The log holds the dropped value until it is cut to nothing, with every value of before."""
    store = open_store("sqlite:broker.db", tmp_path)
    _write_and_drop(store)
    store.drop(GONE)
    assert not _is_gone(tmp_path)
    assert store.purge() == ()
    assert _is_gone(tmp_path)
    assert (tmp_path / "broker.db-wal").stat().st_size == 0


def test_a_reader_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log cannot be cut under a reader: pending until it has ended."""
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)
    store = open_store("sqlite:broker.db", tmp_path)
    _write_and_drop(store)
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
def test_redis_writes_its_files_again(start: Start) -> None:
    """Append-only file and snapshot of the master lose the dropped record; its replica is named as pending."""
    master = start(*KEEPING, "--repl-diskless-sync-delay", "0")
    replica = start(*KEEPING, "--replicaof", "127.0.0.1", str(master.port))
    store = open_store(master.url, Path())
    _write_and_drop(store)
    with master.client() as client, replica.client() as copy:
        wait_until(lambda: bool(client.wait(1, 100)))
        wait_until(partial(_has_saved, client))  # the master saves for the replica that has just connected
        wait_until(partial(_begins_to_save, client))
        wait_until(partial(_has_saved, client))
        store.drop(GONE)
        assert not _is_gone(master.folder)
        assert store.purge() == ("Replicas of Redis: run BGREWRITEAOF and BGSAVE on each of them.",)
        wait_until(lambda: _is_gone(master.folder))
        copy.execute_command("BGREWRITEAOF")
        copy.execute_command("BGSAVE", "SCHEDULE")
        wait_until(lambda: _is_gone(replica.folder))


@pytest.mark.server
def test_every_node_of_a_cluster_writes_its_files_again(
    redis_cluster: tuple[RedisServer, ...], redis_cluster_url: str
) -> None:
    """No node keeps the dropped record, replicas included."""
    store = open_store(redis_cluster_url, Path())
    _write_and_drop(store)
    store.drop(GONE)
    assert store.purge() == ()
    wait_until(lambda: all(b"gone-of-the-person" not in _lying(node.folder) for node in redis_cluster))


def _begins_to_save(server: Any) -> bool:
    """Ask for a snapshot; False while the server writes another file."""
    try:
        server.execute_command("BGSAVE")
    except ResponseError:
        return False
    return True


def _has_saved(server: Any) -> bool:
    return not server.info("persistence")["rdb_bgsave_in_progress"]
