"""The embedded store: one SQLite file, safe across threads, workers and restarts of one machine."""

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
from broker.adapters.stores.timestamps import micros, moment
from broker.configuration import durable_files
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store, Write, lease_key
from broker.core.retention import RecordKind

_PATIENCE: Final = 5.0  # seconds that a writer waits for the writers of other workers
_TURN_PATIENCE: Final = 10.0  # seconds that a thread waits for the writing threads before it
_SWEEP_EVERY: Final = 64
_SWEEP_ROWS: Final = 128
_OTHERS: Final = 0o077
_CHECKPOINTS: Final = 4  # each waits for readers as long as a writer does


def prepare(path: Path) -> None:
    """Make the file with its tables unless it is there, readable by its owner only.

    Call it before forking. The file is made under another name and linked into place whole, so that
    workers that start together never see a half-made one. StoreUnavailable if it cannot be made.
    """
    if path.exists():
        return
    with _failing_as_unavailable():
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
        durable_files.synced(path.parent)


@dataclass(frozen=True, slots=True)
class _WorkerConnections:
    """One worker's idle connections, its turn to write, and what it inherited by a fork."""

    pid: int
    turn: threading.Lock = field(default_factory=threading.Lock)
    idle: list[sqlite3.Connection] = field(default_factory=list)
    inherited: "_WorkerConnections | None" = None


class SqliteStore(Store):
    """Keeps records in one file: WAL, one writer at a time, expired rows swept.

    Source: docs/reference/design.md#4b.
    """

    def __init__(self, path: Path) -> None:
        """Use the file that ``prepare`` made; nothing is opened yet, so a fork may follow."""
        self._path = path
        self._connections = self._new_connections(None)
        self._writes = 0

    def get(self, key: Key, now: datetime) -> Kept | None:
        """Return the record, or None where there is none or it has expired."""
        with self._reading() as connection:
            row = connection.execute(sql.GET, (*key, micros(now))).fetchone()
        if row is None:
            return None
        return _kept(*row)

    def put(
        self, key: Key, kept: Kept, was: str | None, now: datetime, *, durable: bool = False
    ) -> bool:
        """Compare and set; ``durable`` commits with an fsync, otherwise writes are only ordered."""
        write = Write(key, kept, was)
        with self._turn(durable=durable) as connection:
            written = _written(connection, write, now)
            if written:
                self._sweep(connection, now)
                return True
            return _stands(connection, write, now)

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":
        """Return the records as of one moment, None for each that is absent."""
        at = micros(now)
        with self._reading() as connection:
            connection.execute("BEGIN")
            rows = [connection.execute(sql.GET, (*key, at)).fetchone() for key in keys]
            connection.execute("COMMIT")
        return [_kept(*row) if row else None for row in rows]

    def put_many(
        self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False
    ) -> bool:
        """Compare and set all of them in one transaction, or none."""
        if not others:
            return self.put(*first, now, durable=durable)
        with self._turn(durable=durable) as connection:
            connection.execute("BEGIN IMMEDIATE")
            stands = _written(connection, first, now) or _stands(connection, first, now)
            if stands:
                for write in others:
                    _written(connection, write, now)
            connection.execute("COMMIT")
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
        """Yield the unexpired records as of the moment of the first, read as they are asked for."""
        with self._reading() as connection:
            if group is None:
                rows = connection.execute(sql.LIST, (kind, micros(now)))
            else:
                rows = connection.execute(sql.LIST_GROUP, (kind, micros(now), group))
            for record_group, name, *columns in rows:
                yield Key(kind, record_group, name), _kept(*columns)

    def claim(
        self, kind: RecordKind, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, Kept] | None:
        """Lease the earliest record due at ``now``; an idle queue never takes the write lock."""
        wanted = {"kind": kind, "grp": group, "now": micros(now)}
        with self._reading() as connection:
            if connection.execute(sql.DUE, wanted).fetchone() is None:
                return None
        with self._writing() as connection:
            row = connection.execute(sql.DUE, wanted).fetchone()
            if row is None:
                return None
            record_group, name, *columns = row
            key = Key(kind, record_group, name)
            lease = (b"", token, micros(until), None, *lease_key(key), micros(now))
            connection.execute(sql.ADD, lease)
            self._sweep(connection, now)
        return key, _kept(*columns)

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add ``by`` and return the sum; an expired counter begins anew, with this ``until``."""
        if not by:
            return self._total(key, now)
        added = {
            "kind": key.kind,
            "grp": key.group,
            "name": key.name,
            "by": by,
            "until": micros(until),
            "now": micros(now),
        }
        with self._writing() as connection:
            (total,) = connection.execute(sql.COUNT, added).fetchone()
            self._sweep(connection, now)
        return int(total)

    def sweep(self, now: datetime) -> bool:
        """Delete some rows that have expired; True where there may be more."""
        with self._writing() as connection:
            expired = (micros(now), _SWEEP_ROWS)
            deleted = [connection.execute(statement, expired).rowcount for statement in sql.SWEEP]
        return max(deleted) >= _SWEEP_ROWS

    def _total(self, key: Key, now: datetime) -> int:
        with self._reading() as connection:
            row = connection.execute(sql.TOTAL, (*key, micros(now))).fetchone()
        return int(row[0]) if row else 0

    def faults(self) -> Sequence[str]:
        """Return what makes the file unfit for production, in sentences."""
        with self._reading() as connection:
            faults = list(_mode_faults(self._path))
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                fix = "run PRAGMA journal_mode = WAL on it once"
                faults.append(f"The store file {self._path.name} is not in WAL mode; {fix}.")
        return tuple(faults)

    def purge(self) -> Sequence[str]:
        """Move the log into the file and cut it to nothing: what was dropped stands in neither.

        The file has nought in its place (``secure_delete``). Pending where a reader does not end.
        """
        with self._turn() as connection:
            for _ in range(_CHECKPOINTS):
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return ()
        what = f"{self._path.name}-wal is being read by a program that does not end"
        return (f"{what}: what was dropped stands in it until it has.",)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        idle = self._of_this_worker().idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = _connect(self._path)
        try:
            yield connection
        except BaseException as error:
            connection.close()  # rolls back, and ends a listing that nobody reads to its end
            if isinstance(error, sqlite3.Error | OSError):
                raise _unavailable(error) from None
            raise
        idle.append(connection)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._turn() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _turn(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        turn = self._of_this_worker().turn
        # SQLite's own waiting polls with sleeps; the threads of one worker queue here instead.
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

    def _of_this_worker(self) -> _WorkerConnections:
        connections = self._connections
        if connections.pid != os.getpid():
            # A connection must not be used, nor even closed, on the other side of a fork: its file
            # locks are not ours, and closing might checkpoint under the parent's feet. So the
            # inherited ones are kept, untouched.
            connections = self._new_connections(connections)
            self._connections = connections
        return connections

    def _new_connections(self, inherited: _WorkerConnections | None) -> _WorkerConnections:
        """Return this process's connections, closed once the store is used no more."""
        connections = _WorkerConnections(os.getpid(), inherited=inherited)
        closing = weakref.finalize(self, _close, connections)
        closing.atexit = False
        return connections

    def _sweep(self, connection: sqlite3.Connection, now: datetime) -> None:
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
            for statement in sql.SWEEP:
                connection.execute(statement, (micros(now), _SWEEP_ROWS))


def _close(connections: _WorkerConnections) -> None:
    """Close idle connections, unless they were inherited by a fork."""
    if connections.pid == os.getpid():
        for connection in connections.idle:
            connection.close()


def _written(connection: sqlite3.Connection, write: Write, now: datetime) -> bool:
    """Compare and set one record, and return whether that changed it."""
    key, kept, was = write
    due = None if kept.due is None else micros(kept.due)
    record = (kept.value, kept.version, micros(kept.until), due, *key, micros(now))
    if was is None:
        return bool(connection.execute(sql.ADD, record).rowcount)
    if was == kept.version:
        # A put that names its own version as the one to replace is a put retried: it stands as it
        # is.
        return False
    return bool(connection.execute(sql.REPLACE, (*record, was)).rowcount)


def _stands(connection: sqlite3.Connection, write: Write, now: datetime) -> bool:
    """Return whether the version that was to be written is the present one."""
    row = connection.execute(sql.PRESENT_VERSION, (*write.key, micros(now))).fetchone()
    return bool(row == (write.kept.version,))


def _connect(path: Path) -> sqlite3.Connection:
    """Open the prepared file; StoreUnavailable where it is missing or of an unknown schema."""
    with _failing_as_unavailable():
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
    """Make a connection ready; StoreUnavailable where its file is of an unknown schema."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != sql.SCHEMA_VERSION:
        what = f"the file has schema {version}, this release reads {sql.SCHEMA_VERSION}"
        raise StoreUnavailable(f"sqlite: {what}")
    # An erased CPR must not linger in a free page, sealed as it is.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def _failing_as_unavailable() -> Iterator[None]:
    """Turn every failure of SQLite or of the disk into StoreUnavailable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _unavailable(error) from None


def _unavailable(error: Exception) -> StoreUnavailable:
    """Return the error for a failure of SQLite with its code only: the text may quote a value."""
    code = getattr(error, "sqlite_errorname", None)
    return StoreUnavailable(f"sqlite: {code or type(error).__name__}")


def _mode_faults(path: Path) -> Iterator[str]:
    log = path.with_name(f"{path.name}-wal")
    for part in (path, log):
        if part.exists() and part.stat().st_mode & _OTHERS:
            yield f"The store file {part.name} can be read by other users; give it mode 0600."


def _kept(value: bytes, version: str, until: int, due: int | None) -> Kept:
    due_at = None if due is None else moment(due)
    return Kept(value, version, moment(until), due_at)
