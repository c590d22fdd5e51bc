"""The SQLite file itself: how it is made, opened and looked over."""

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.files import durable_files as durable

SCHEMA_VERSION: Final = 1
_PATIENCE: Final = 5.0  # seconds that a writer waits for the writers of other workers
_OTHERS: Final = 0o077

_SCHEMA: Final = f"""
CREATE TABLE record (
    kind TEXT NOT NULL, grp TEXT NOT NULL, name TEXT NOT NULL,
    value BLOB NOT NULL, version TEXT NOT NULL, until INTEGER NOT NULL, due INTEGER,
    UNIQUE (kind, grp, name)
);
CREATE INDEX record_until ON record (until);
CREATE INDEX record_due ON record (kind, due) WHERE due IS NOT NULL;
CREATE TABLE counter (
    kind TEXT NOT NULL, grp TEXT NOT NULL, name TEXT NOT NULL, total INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (kind, grp, name)
) WITHOUT ROWID;
CREATE INDEX counter_until ON counter (until);
PRAGMA user_version = {SCHEMA_VERSION};
"""


def unavailable(error: Exception) -> StoreUnavailable:
    """Give the refusal for a failure of SQLite, naming its code only: the text may quote a value."""
    return StoreUnavailable(
        f"sqlite: {getattr(error, 'sqlite_errorname', None) or type(error).__name__}"
    )


@contextmanager
def failing_as_unavailable() -> Iterator[None]:
    """Turn every failure of SQLite or of the disk into StoreUnavailable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error) from None


def prepare(path: Path) -> None:
    """Make the file with its tables unless it is there, readable by its owner only; StoreUnavailable if it cannot be.

    It is made under another name and linked into place whole, so that workers that start together
    never see a half-made one. Called before forking.
    """
    if path.exists():
        return
    with failing_as_unavailable():
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
        os.close(descriptor)
        draft = Path(name)
        try:
            connection = sqlite3.connect(draft, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            connection.close()
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        durable.synced(path.parent)


def connect(path: Path) -> sqlite3.Connection:
    """Open the prepared file; StoreUnavailable where it is missing or of a release that this one does not know."""
    with failing_as_unavailable():
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            connection.close()
            raise StoreUnavailable(
                f"sqlite: the file has schema {version}, this release reads {SCHEMA_VERSION}"
            )
        # An erased CPR must not linger in a free page, sealed as it is.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def faults(path: Path, connection: sqlite3.Connection) -> tuple[str, ...]:
    """Say what makes the file unfit: others may read it, or it lost its write-ahead log."""
    found = [
        f"The store file {part.name} can be read by other users; give it mode 0600."
        for part in (path, path.with_name(f"{path.name}-wal"))
        if part.exists() and stat.S_IMODE(part.stat().st_mode) & _OTHERS
    ]
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        found.append(
            f"The store file {path.name} is not in WAL mode; run PRAGMA journal_mode = WAL on it once."
        )
    return tuple(found)
