"""The SQLite store, beyond the conformance suite."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, NewerRelease, Store, StoredRecord

NOW = datetime(2031, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
KEY = Key("person", "g", "n")
MARKER = b"0101010000-and-more-that-nobody-may-read"
CALLS: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get(KEY, NOW),
    "put": lambda store: store.put(KEY, StoredRecord(MARKER, "1", LATER), None, NOW),
    "durable put": lambda store: store.put(KEY, StoredRecord(MARKER, "1", LATER), None, NOW, durable=True),
    "drop": lambda store: store.drop(KEY),
    "list": lambda store: list(store.list("person", None, NOW)),
    "list group": lambda store: list(store.list("person", "g", NOW)),
    "claim": lambda store: store.claim("person", None, "c", NOW, NOW),
    "count": lambda store: store.count(KEY, 1, LATER, NOW),
    "faults": lambda store: store.faults(),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the file lies."""
    return tmp_path / "broker.db"


@pytest.fixture
def store(path: Path) -> Store:
    """Give a store on a new file."""
    return open_store(f"sqlite:{path.name}", path.parent)


@pytest.fixture
def raw(path: Path, store: Store) -> Iterator[sqlite3.Connection]:  # noqa: ARG001 - the store makes the file
    """Give a look behind the store."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def test_its_files_are_the_owners_alone(store: Store, path: Path) -> None:
    """The file, its log and its index are made with mode 0600, and nothing else is left in the folder."""
    store.put(KEY, StoredRecord(b"value", "1", LATER), None, NOW)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"broker.db": 0o600, "broker.db-wal": 0o600, "broker.db-shm": 0o600}
    assert list(store.faults()) == []


def test_a_file_that_others_may_read_is_a_fault(store: Store, path: Path) -> None:
    """A file opened to the group is named in a sentence, with the mode it should have."""
    path.chmod(0o640)
    faults = store.faults()
    assert "broker.db " in faults[0]
    assert all("0600" in fault for fault in faults)


@pytest.mark.parametrize(("durable", "synchronous"), [(False, ["NORMAL"]), (True, ["NORMAL", "FULL", "NORMAL"])])
def test_durable_commits_under_synchronous_full(
    store: Store, monkeypatch: pytest.MonkeyPatch, synchronous: list[str], *, durable: bool
) -> None:
    """A durable put is committed with an fsync; the next put on that connection is not."""
    said: list[str] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def trace_connection(*arguments: object, **options: object) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(said.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", trace_connection)
    store.put(KEY, StoredRecord(b"value", "1", LATER), None, NOW, durable=durable)
    assert [line.rpartition(" ")[2] for line in said if line.startswith("PRAGMA synchronous")] == synchronous
    written = next(index for index, line in enumerate(said) if line.lstrip().startswith("INSERT"))
    assert [line for line in said[:written] if "synchronous" in line][-1].endswith("FULL" if durable else "NORMAL")


def test_erased_values_are_gone_from_the_file(store: Store, raw: sqlite3.Connection, path: Path) -> None:
    """After a checkpoint, neither a dropped nor an overwritten value is in a free page."""
    for key in (KEY, Key("reference", "g")):
        store.put(key, StoredRecord(MARKER * 300, "1", LATER), None, NOW)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert MARKER in path.read_bytes()
    store.drop(KEY)
    store.put(Key("reference", "g"), StoredRecord(b"", "2", LATER), "1", NOW)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert MARKER[:10] not in path.read_bytes()


def test_expired_rows_are_swept(store: Store, raw: sqlite3.Connection) -> None:
    """Writes delete what has expired, and nothing else."""
    for number in range(150):
        store.put(Key("arrival", str(number)), StoredRecord(b"value", "1", NOW + timedelta(seconds=1)), None, NOW)
    store.put(KEY, StoredRecord(b"value", "1", LATER), None, NOW)
    for _ in range(300):
        store.count(Key("counter", "present"), 1, LATER, NOW + timedelta(minutes=1))
    assert raw.execute("SELECT count(*) FROM record").fetchone()[0] == 1
    assert store.get(KEY, NOW) is not None


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("harm", ["missing", "garbage", "schema"])
def test_a_broken_file_is_unavailable(path: Path, call: str, harm: str) -> None:
    """A file that is gone, is none of SQLite's, or has a later schema is a 503 that quotes no value."""
    store = open_store("sqlite:broker.db", path.parent)
    if harm == "missing":
        path.unlink()
    elif harm == "garbage":
        path.write_bytes(MARKER * 300)
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 2")
        connection.close()
    with pytest.raises(StoreUnavailable) as refused:
        CALLS[call](store)
    assert refused.value.http == 503
    assert "0101010000" not in str(refused.value)


def test_a_file_of_a_newer_release_says_so(path: Path) -> None:
    """The message names both versions of the schema."""
    store = open_store("sqlite:broker.db", path.parent)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(NewerRelease, match="by a newer release: the SQLite file has version 2, this release reads 1"):
        CALLS["put"](store)
