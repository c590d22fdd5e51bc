"""The last good copies of feeds on this machine's disk, each with a note of its fetches.

An attacker who can write here can bring back an older copy or none; every copy is verified again
when it is read. The workers of one machine take turns by flock, which ends with the worker that
held it; other machines have disks of their own.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from broker.adapters.saml.feeds.aggregates import FeedPublication
from broker.adapters.saml.feeds.feed_fetch import Document, Marks
from broker.adapters.saml.xml_security import xml_times
from broker.configuration import durable_files as durable

_LARGEST_NOTE: Final = 16 * 1024
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Note:
    """What is remembered of one document, for the worker that comes next."""

    due: datetime = _NEVER
    marks: Marks = field(default_factory=Marks)
    failed: int = 0  # times in a row
    cause: str = ""  # of the last failure, while it lasts
    good: datetime | None = None  # when the server last answered what it has
    kept: bool = False  # there is a copy, or should be
    # The last publication that was kept, which outlives its end and its copy.
    edition: FeedPublication | None = None
    # Digests of those that nothing but their order of arrival distinguishes from it.
    replaced: tuple[str, ...] = ()


class Copies:
    """The folder with the copies of one feed."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which is made when something is first kept."""
        self.folder = folder

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Yield whether it is this worker's turn to fetch: nobody else's until this ends.

        ``OSError`` where the folder cannot be made or locked.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            yield False
            return
        try:
            yield True
        finally:
            os.close(lock)

    @contextmanager
    def making(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Yield a new file and its path for ``keep``; a file not kept is gone afterwards."""
        path = self.folder / f".{secrets.token_hex(8)}"
        try:
            with path.open("x+b") as file:
                path.chmod(0o600)
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, made: BinaryIO, path: Path, document: Document) -> None:
        """Make a verified file the copy; a crash at any point leaves the old copy or this."""
        made.flush()
        os.fsync(made.fileno())
        path.rename(self._path(document))
        durable.synced(self.folder)

    @contextmanager
    def opened(self, document: Document) -> Iterator[BinaryIO | None]:
        """Yield the copy to read, or None where there is none."""
        try:
            file = self._path(document).open("rb")
        except OSError:
            yield None
            return
        with file:
            yield file

    def stamp(self, document: Document) -> Stamp | None:
        """Return what changes when the copy does: cheap enough to read every two seconds."""
        try:
            found = self._path(document).stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def note(self, document: Document) -> Note:
        """Return what is remembered; a note that cannot be read is as nothing remembered."""
        try:
            with self._path(document, ".json").open("rb") as file:
                return _read(json.loads(file.read(_LARGEST_NOTE)))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Note()

    def remember(self, document: Document, note: Note) -> None:
        """Write what is to be remembered."""
        with self.making() as (file, path):
            file.write(json.dumps(asdict(note), default=xml_times.write).encode())
            file.flush()
            path.rename(self._path(document, ".json"))

    def sweep(self) -> None:
        """Remove what a crash left half written; only within ``turn``."""
        for path in self.folder.glob(".*"):
            with suppress(OSError):
                path.unlink()

    def _path(self, document: Document, ending: str = ".xml") -> Path:
        return self.folder / f"{document.name}{ending}"


def _read(tree: Any) -> Note:
    marks = Marks(str(tree["marks"]["etag"]), str(tree["marks"]["modified"]))
    return Note(
        due=xml_times.read(tree["due"]) or _NEVER,
        marks=marks,
        failed=int(tree["failed"]),
        cause=str(tree["cause"]),
        good=_optional_moment(tree["good"]),
        kept=bool(tree["kept"]),
        edition=_edition(tree["edition"]),
        replaced=tuple(str(digest) for digest in tree["replaced"]),
    )


def _edition(tree: Any) -> FeedPublication | None:
    if not tree:
        return None
    until = xml_times.read(tree["until"])
    created = _optional_moment(tree["created"])
    if until is None:
        return None
    return FeedPublication(
        created=created, until=until, digest=str(tree["digest"]), name=str(tree["name"])
    )


def _optional_moment(written: Any) -> datetime | None:
    return xml_times.read(written) if written else None
