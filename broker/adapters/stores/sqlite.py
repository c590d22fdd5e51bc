"""The store of one machine: an SQLite file that threads and workers share."""

import os
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.stores import sqlite_statements as sql
from broker.adapters.stores.timestamps import from_microseconds, to_microseconds
from broker.configuration import durable_files
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, NewerRelease, Store, StoredRecord, Write, lease_key
from broker.core.retention import RecordKind

_WRITER_TIMEOUT_S: Final = 5.0  # for the writers of other workers
_THREAD_TIMEOUT_S: Final = 10.0  # for the writing threads of this worker
_WRITES_PER_SWEEP: Final = 64
_SWEEP_ROWS: Final = 128
_GROUP_AND_OTHERS: Final = 0o077
_CHECKPOINTS: Final = 4  # each waits for readers as long as a writer does


def prepare(path: Path) -> None:
    """Make the file with its tables if it does not exist, readable by its owner only.

    Call it before forking. The file is made under another name and then linked, so that no worker
    sees an incomplete one. Raises StoreUnavailable if it cannot be made.
    """
    if path.exists():
        return
    with _raise_unavailable():
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
        os.close(descriptor)
        draft = Path(name)
        try:
            connection = sqlite3.connect(draft, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(sql.SCHEMA)
            connection.close()
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        durable_files.sync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class _WorkerConnections:
    """A worker's idle connections, its lock for writers, and the connections before a fork."""

    pid: int
    writer_lock: threading.Lock = field(default_factory=threading.Lock)
    idle: list[sqlite3.Connection] = field(default_factory=list)
    inherited: "_WorkerConnections | None" = None


class SqliteStore(Store):
    """Stores records in one file: WAL, one writer at a time, expired rows removed.

    Source: docs/reference/design.md#4b.
    """

    def __init__(self, path: Path) -> None:
        """Use the file that ``prepare`` made; it is opened at its first use, after the fork."""
        self._path = path
        self._connections = self._new_connections(None)
        self._writes = 0

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[StoredRecord | None]":
        """Return the records as of one moment, None for a missing one."""
        at = to_microseconds(now)
        with self._take_connection() as connection:
            connection.execute("BEGIN")
            rows = [connection.execute(sql.GET, (*key, at)).fetchone() for key in keys]
            connection.execute("COMMIT")
        return [_read_row(*row) if row else None for row in rows]

    def put_many(
        self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False
    ) -> bool:
        """Write ``first``; only if it is stored, write each of ``others``, in one transaction.

        ``durable`` commits with fsync. Without it, a power cut may undo the last transactions, but
        never an earlier one alone.
        """
        with self._write_transaction(durable=durable) as connection:
            written = _write_record(connection, first, now)
            is_stored = written or _is_present(connection, first, now)
            if is_stored:
                for write in others:
                    _write_record(connection, write, now)
            if written:
                self._sweep_sometimes(connection, now)
        return is_stored

    def drop(self, key: Key) -> None:
        """Remove the record or counter if there is one."""
        with self._write_transaction() as connection:
            for statement in sql.DROP:
                connection.execute(statement, key)

    def list(
        self, kind: RecordKind, group: str | None, now: datetime
    ) -> Iterator[tuple[Key, StoredRecord]]:
        """Yield the unexpired records as of the first read, one at a time."""
        with self._take_connection() as connection:
            if group is None:
                rows = connection.execute(sql.LIST, (kind, to_microseconds(now)))
            else:
                rows = connection.execute(sql.LIST_GROUP, (kind, to_microseconds(now), group))
            for record_group, name, *columns in rows:
                yield Key(kind, record_group, name), _read_row(*columns)

    def claim(
        self, kind: RecordKind, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, StoredRecord] | None:
        """Lease the earliest record due at ``now``; an empty queue takes no write lock."""
        wanted = {"kind": kind, "grp": group, "now": to_microseconds(now)}
        with self._take_connection() as connection:
            if connection.execute(sql.DUE, wanted).fetchone() is None:
                return None
        with self._write_transaction() as connection:
            row = connection.execute(sql.DUE, wanted).fetchone()
            if row is None:
                return None
            record_group, name, *columns = row
            key = Key(kind, record_group, name)
            _write_record(
                connection, Write(lease_key(key), StoredRecord(b"", token, until), None), now
            )
            self._sweep_sometimes(connection, now)
        return key, _read_row(*columns)

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add ``by`` and return the sum; an expired counter restarts with this ``until``."""
        if not by:
            return self._total(key, now)
        added = {
            "kind": key.kind,
            "grp": key.group,
            "name": key.name,
            "by": by,
            "until": to_microseconds(until),
            "now": to_microseconds(now),
        }
        with self._write_transaction() as connection:
            (total,) = connection.execute(sql.COUNT, added).fetchone()
            self._sweep_sometimes(connection, now)
        return int(total)

    def sweep(self, now: datetime) -> bool:
        """Delete some expired rows; True if there may be more."""
        with self._write_transaction() as connection:
            return _delete_expired(connection, now) >= _SWEEP_ROWS

    def _total(self, key: Key, now: datetime) -> int:
        with self._take_connection() as connection:
            row = connection.execute(sql.TOTAL, (*key, to_microseconds(now))).fetchone()
        return int(row[0]) if row else 0

    def faults(self) -> Sequence[str]:
        """Return in sentences what makes the file unfit for production."""
        with self._take_connection() as connection:
            faults = list(_find_mode_faults(self._path))
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                fix = "run PRAGMA journal_mode = WAL on it once"
                faults.append(f"The store file {self._path.name} is not in WAL mode; {fix}.")
        return tuple(faults)

    def purge(self) -> Sequence[str]:
        """Move the write-ahead log (WAL) into the file and empty it, so that no value stays in it.

        In the file itself, SQLite overwrites dropped values with zeros (``secure_delete``). The log
        cannot be emptied while another program reads it.
        """
        with self._lock_writers() as connection:
            for _ in range(_CHECKPOINTS):
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return ()
        what = f"{self._path.name}-wal is being read by another program"
        return (f"{what}: dropped values stay in it until that program ends.",)

    @contextmanager
    def _take_connection(self) -> Iterator[sqlite3.Connection]:
        idle = self._worker_connections().idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = _connect(self._path)
        try:
            with _raise_unavailable():
                yield connection
        except BaseException:
            connection.close()  # rolls back, and ends an unfinished listing
            raise
        idle.append(connection)

    @contextmanager
    def _write_transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock_writers(durable=durable) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _lock_writers(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        writer_lock = self._worker_connections().writer_lock
        # Threads of one worker wait for this lock, because SQLite itself waits by polling.
        if not writer_lock.acquire(timeout=_THREAD_TIMEOUT_S):
            raise StoreUnavailable("sqlite: the writers before this one did not finish")
        try:
            with self._take_connection() as connection:
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                yield connection
                if durable:
                    connection.execute("PRAGMA synchronous = NORMAL")
        finally:
            writer_lock.release()

    def _worker_connections(self) -> _WorkerConnections:
        connections = self._connections
        if connections.pid != os.getpid():
            # A connection must not be used or closed after a fork: its file locks belong to the
            # parent, and closing could checkpoint the parent's log. Keep inherited ones unused.
            connections = self._new_connections(connections)
            self._connections = connections
        return connections

    def _new_connections(self, inherited: _WorkerConnections | None) -> _WorkerConnections:
        """Return connections of this process, closed when the store is garbage collected."""
        connections = _WorkerConnections(os.getpid(), inherited=inherited)
        closing = weakref.finalize(self, _close, connections)
        closing.atexit = False
        return connections

    def _sweep_sometimes(self, connection: sqlite3.Connection, now: datetime) -> None:
        self._writes += 1
        if self._writes % _WRITES_PER_SWEEP == 0:
            _delete_expired(connection, now)


def _close(connections: _WorkerConnections) -> None:
    """Close idle connections, unless they were inherited by a fork."""
    if connections.pid == os.getpid():
        for connection in connections.idle:
            connection.close()


def _delete_expired(connection: sqlite3.Connection, now: datetime) -> int:
    """Delete some expired rows of each table; return the larger number."""
    expired = (to_microseconds(now), _SWEEP_ROWS)
    return max(connection.execute(statement, expired).rowcount for statement in sql.SWEEP)


def _write_record(connection: sqlite3.Connection, write: Write, now: datetime) -> bool:
    """Compare and set one record; return whether that changed it."""
    key, record, expected_version = write
    due = None if record.due is None else to_microseconds(record.due)
    parameters = (
        record.value,
        record.version,
        to_microseconds(record.until),
        due,
        *key,
        to_microseconds(now),
    )
    if expected_version is None:
        return bool(connection.execute(sql.ADD, parameters).rowcount)
    if expected_version == record.version:
        # The write is repeated and stored already, so change nothing.
        return False
    return bool(connection.execute(sql.REPLACE, (*parameters, expected_version)).rowcount)


def _is_present(connection: sqlite3.Connection, write: Write, now: datetime) -> bool:
    """Return whether the version of ``write`` is stored."""
    row = connection.execute(sql.PRESENT_VERSION, (*write.key, to_microseconds(now))).fetchone()
    return bool(row == (write.record.version,))


def _connect(path: Path) -> sqlite3.Connection:
    """Open the prepared file. Raises StoreUnavailable if it is missing or has another schema."""
    with _raise_unavailable():
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_WRITER_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    """Set up a connection. Raises StoreUnavailable if its file has another schema."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > sql.SCHEMA_VERSION:
        raise NewerRelease("the SQLite file", version, sql.SCHEMA_VERSION)
    if version < sql.SCHEMA_VERSION:
        what = f"the file has schema {version}, this release reads {sql.SCHEMA_VERSION}"
        raise StoreUnavailable(f"sqlite: {what}")
    # No erased value may stay in a free page, although it is encrypted.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    # 128 kB of pages: a worker has a connection for each thread, and the system caches the file.
    connection.execute("PRAGMA cache_size = -128")


@contextmanager
def _raise_unavailable() -> Iterator[None]:
    """Turn every failure of SQLite or the disk into StoreUnavailable with its code.

    The failure's own message is left out, because it may quote a stored value.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorname", None)
        raise StoreUnavailable(f"sqlite: {code or type(error).__name__}") from None


def _find_mode_faults(path: Path) -> Iterator[str]:
    log = path.with_name(f"{path.name}-wal")
    for part in (path, log):
        if part.exists() and part.stat().st_mode & _GROUP_AND_OTHERS:
            yield f"The store file {part.name} can be read by other users; give it mode 0600."


def _read_row(value: bytes, version: str, until: int, due: int | None) -> StoredRecord:
    due_at = None if due is None else from_microseconds(due)
    return StoredRecord(value, version, from_microseconds(until), due_at)
