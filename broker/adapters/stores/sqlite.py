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
from broker.adapters.stores.timestamps import moment, to_microseconds
from broker.configuration import durable_files
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, NewerRelease, Store, Write, lease_key
from broker.core.retention import RecordKind

_PATIENCE: Final = 5.0  # seconds that a writer waits for the writers of other workers
_TURN_PATIENCE: Final = 10.0  # seconds that a thread waits for the writing threads before it
_SWEEP_EVERY: Final = 64
_SWEEP_ROWS: Final = 128
_OTHERS: Final = 0o077
_CHECKPOINTS: Final = 4  # each waits for readers as long as a writer does


def prepare(path: Path) -> None:
    """Make the file with its tables if it does not exist, readable by its owner only.

    Call it before forking. The file is made under another name and then linked, so that no worker
    sees an incomplete one. StoreUnavailable if it cannot be made.
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
    turn: threading.Lock = field(default_factory=threading.Lock)
    idle: list[sqlite3.Connection] = field(default_factory=list)
    inherited: "_WorkerConnections | None" = None


class SqliteStore(Store):
    """Stores records in one file: WAL, one writer at a time, expired rows removed.

    Source: docs/reference/design.md#4b.
    """

    def __init__(self, path: Path) -> None:
        """Use the file that ``prepare`` made; it is opened at the first use, after a fork."""
        self._path = path
        self._connections = self._new_connections(None)
        self._writes = 0

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":
        """Return the records as of one moment, None for a missing one."""
        at = to_microseconds(now)
        with self._reading() as connection:
            connection.execute("BEGIN")
            rows = [connection.execute(sql.GET, (*key, at)).fetchone() for key in keys]
            connection.execute("COMMIT")
        return [_read_row(*row) if row else None for row in rows]

    def put_many(
        self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False
    ) -> bool:
        """Compare and set all of them in one transaction, or none.

        ``durable`` commits with fsync; other writes are only ordered.
        """
        with self._writing(durable=durable) as connection:
            written = _write_record(connection, first, now)
            stands = written or _is_present(connection, first, now)
            if stands:
                for write in others:
                    _write_record(connection, write, now)
            if written:
                self._sweep(connection, now)
        return stands

    def drop(self, key: Key) -> None:
        """Remove the record or counter if there is one."""
        with self._writing() as connection:
            for statement in sql.DROP:
                connection.execute(statement, key)

    def list(
        self, kind: RecordKind, group: str | None, now: datetime
    ) -> Iterator[tuple[Key, Kept]]:
        """Yield the unexpired records as of the first read, one at a time."""
        with self._reading() as connection:
            if group is None:
                rows = connection.execute(sql.LIST, (kind, to_microseconds(now)))
            else:
                rows = connection.execute(sql.LIST_GROUP, (kind, to_microseconds(now), group))
            for record_group, name, *columns in rows:
                yield Key(kind, record_group, name), _read_row(*columns)

    def claim(
        self, kind: RecordKind, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, Kept] | None:
        """Lease the earliest record due at ``now``; an empty queue takes no write lock."""
        wanted = {"kind": kind, "grp": group, "now": to_microseconds(now)}
        with self._reading() as connection:
            if connection.execute(sql.DUE, wanted).fetchone() is None:
                return None
        with self._writing() as connection:
            row = connection.execute(sql.DUE, wanted).fetchone()
            if row is None:
                return None
            record_group, name, *columns = row
            key = Key(kind, record_group, name)
            _write_record(connection, Write(lease_key(key), Kept(b"", token, until), None), now)
            self._sweep(connection, now)
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
        with self._writing() as connection:
            (total,) = connection.execute(sql.COUNT, added).fetchone()
            self._sweep(connection, now)
        return int(total)

    def sweep(self, now: datetime) -> bool:
        """Delete some expired rows; True if there may be more."""
        with self._writing() as connection:
            return _delete_expired(connection, now) >= _SWEEP_ROWS

    def _total(self, key: Key, now: datetime) -> int:
        with self._reading() as connection:
            row = connection.execute(sql.TOTAL, (*key, to_microseconds(now))).fetchone()
        return int(row[0]) if row else 0

    def faults(self) -> Sequence[str]:
        """Return in sentences what makes the file unfit for production."""
        with self._reading() as connection:
            faults = list(_mode_faults(self._path))
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                fix = "run PRAGMA journal_mode = WAL on it once"
                faults.append(f"The store file {self._path.name} is not in WAL mode; {fix}.")
        return tuple(faults)

    def purge(self) -> Sequence[str]:
        """Move the log into the file and empty it, so that no dropped value remains.

        The file itself is overwritten with zeros (``secure_delete``). A long reader delays it.
        """
        with self._turn() as connection:
            for _ in range(_CHECKPOINTS):
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return ()
        what = f"{self._path.name}-wal is being read by another program"
        return (f"{what}: dropped values stay in it until that program ends.",)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
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
    def _writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        with self._turn(durable=durable) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _turn(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        turn = self._worker_connections().turn
        # Threads of one worker queue here, because SQLite itself waits by polling.
        if not turn.acquire(timeout=_TURN_PATIENCE):
            raise StoreUnavailable("sqlite: the writers before this one did not finish")
        try:
            with self._reading() as connection:
                if durable:
                    connection.execute("PRAGMA synchronous = FULL")
                yield connection
                if durable:
                    connection.execute("PRAGMA synchronous = NORMAL")
        finally:
            turn.release()

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

    def _sweep(self, connection: sqlite3.Connection, now: datetime) -> None:
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
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
    key, kept, was = write
    due = None if kept.due is None else to_microseconds(kept.due)
    record = (
        kept.value,
        kept.version,
        to_microseconds(kept.until),
        due,
        *key,
        to_microseconds(now),
    )
    if was is None:
        return bool(connection.execute(sql.ADD, record).rowcount)
    if was == kept.version:
        # A repeated put names its own version as the one to replace: change nothing.
        return False
    return bool(connection.execute(sql.REPLACE, (*record, was)).rowcount)


def _is_present(connection: sqlite3.Connection, write: Write, now: datetime) -> bool:
    """Return whether the version of ``write`` is stored."""
    row = connection.execute(sql.PRESENT_VERSION, (*write.key, to_microseconds(now))).fetchone()
    return bool(row == (write.kept.version,))


def _connect(path: Path) -> sqlite3.Connection:
    """Open the prepared file; StoreUnavailable if it is missing or has another schema."""
    with _raise_unavailable():
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_PATIENCE,
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
    """Set up a connection; StoreUnavailable if its file has another schema."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > sql.SCHEMA_VERSION:
        raise NewerRelease("the SQLite file", version, sql.SCHEMA_VERSION)
    if version < sql.SCHEMA_VERSION:
        what = f"the file has schema {version}, this release reads {sql.SCHEMA_VERSION}"
        raise StoreUnavailable(f"sqlite: {what}")
    # No erased value may stay in a free page, although it is encrypted.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def _raise_unavailable() -> Iterator[None]:
    """Turn every failure of SQLite or the disk into StoreUnavailable with its code.

    The text of the failure may quote a value.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        code = getattr(error, "sqlite_errorname", None)
        raise StoreUnavailable(f"sqlite: {code or type(error).__name__}") from None


def _mode_faults(path: Path) -> Iterator[str]:
    log = path.with_name(f"{path.name}-wal")
    for part in (path, log):
        if part.exists() and part.stat().st_mode & _OTHERS:
            yield f"The store file {part.name} can be read by other users; give it mode 0600."


def _read_row(value: bytes, version: str, until: int, due: int | None) -> Kept:
    due_at = None if due is None else moment(due)
    return Kept(value, version, moment(until), due_at)
