"""Stores the last good copies of feeds on disk, each with a note about its fetches.

Every copy is verified again when it is read, so an attacker who can write here can only restore an
older copy or remove it. The workers of a machine lock the folder with flock while they fetch. Other
machines have their own disks.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import AwareDatetime, TypeAdapter

from broker.adapters.saml.feeds.aggregates import FeedPublication
from broker.adapters.saml.feeds.feed_fetch import Document
from broker.adapters.saml.xml_security import xml_times
from broker.configuration import durable_files as durable

_LARGEST_NOTE: Final = 16 * 1024

Stamp = tuple[int, int, int]


def read_stamp(path: Path) -> Stamp | None:
    """Return a value that is different if the file changes; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


@dataclass(frozen=True, slots=True)
class Note:
    """The stored facts about one document, for the next worker."""

    due: AwareDatetime = xml_times.LONG_AGO
    etag: str = ""  # of the copy, for a conditional request
    cause: str = ""  # of the last failure, while it lasts
    # The last publication that was accepted, even if its copy has expired or was removed.
    edition: FeedPublication | None = None
    # Digests of publications that ``edition`` replaced only because it arrived later.
    replaced: tuple[str, ...] = ()


_NOTE: Final = TypeAdapter(Note)


class Copies:
    """The folder with the copies of one feed."""

    def __init__(self, folder: Path) -> None:
        """Use the folder, which is created when needed."""
        self.folder = folder
        self._draft = folder / ".draft"

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Lock the folder; yield False if another worker has locked it.

        Raises OSError if the folder cannot be created or locked.
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
    def create_file(self) -> Iterator[BinaryIO]:
        """Yield a file for ``keep``, within ``lock``; a file that is not kept is removed."""
        try:
            with self._draft.open("w+b") as file:
                self._draft.chmod(0o600)
                yield file
        finally:
            self._draft.unlink(missing_ok=True)

    def keep(self, new_file: BinaryIO, document: Document) -> None:
        """Make a verified file the copy; after a crash the old or the new copy exists."""
        new_file.flush()
        os.fsync(new_file.fileno())
        durable.rename_file(self._draft, self._path(document))

    @contextmanager
    def open_copy(self, document: Document) -> Iterator[BinaryIO | None]:
        """Yield the copy for reading, or None if there is none."""
        try:
            file = self._path(document).open("rb")
        except OSError:
            yield None
            return
        with file:
            yield file

    def stamp(self, document: Document) -> Stamp | None:
        """Return a value that is different if the copy changes; it is cheap to read."""
        return read_stamp(self._path(document))

    def read_note(self, document: Document) -> Note:
        """Return the note about a document; an empty one if it cannot be read."""
        try:
            with self._path(document, ".json").open("rb") as file:
                return _NOTE.validate_json(file.read(_LARGEST_NOTE))
        except (OSError, ValueError):
            return Note()

    def write_note(self, document: Document, note: Note) -> None:
        """Write the note about a document."""
        durable.replace_file(self._path(document, ".json"), _NOTE.dump_json(note))

    def _path(self, document: Document, ending: str = ".xml") -> Path:
        return self.folder / f"{document.name}{ending}"
