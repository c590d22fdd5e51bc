"""One sync of the disk for all threads that wait for one: the first syncs, the others follow."""

import errno
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOR_SYNCING: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY


@dataclass(slots=True)
class _Batch:
    """The lines of one file that one sync covers; ``synced`` is None before it has ended."""

    synced: bool | None = None


class SharedSync:
    """The syncs of one worker's appended files.

    A sync covers what was written before it began, so that threads which queued for it while
    another ran need none of their own: 16 at once wait for two, not for 16. One that fails fails
    for all that it covers: the system tells of lost octets once, and the next sync succeeds without
    them (fsync(2)).
    """

    def __init__(self) -> None:
        """Begin with nothing written."""
        self._ended = threading.Condition()
        self._syncing = False
        self._waiting: dict[Path, _Batch] = {}

    def wait(self, file: Path) -> None:
        """Return once a power cut cannot undo what the caller has written to ``file``.

        OSError where the disk does not take it.
        """
        with self._ended:
            batch = self._waiting.setdefault(file, _Batch())
            while self._syncing and batch.synced is None:
                self._ended.wait()
            leads = batch.synced is None
            if leads:
                self._syncing = True
                # Whatever is written from now on needs another sync.
                del self._waiting[file]
        if leads:
            self._sync(file, batch)
        elif not batch.synced:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _sync(self, file: Path, batch: _Batch) -> None:
        synced = False
        try:
            _sync(file)
            synced = True
        finally:
            with self._ended:
                self._syncing = False
                batch.synced = synced
                self._ended.notify_all()


def _sync(file: Path) -> None:
    descriptor = os.open(file, _FOR_SYNCING)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
