"""One sync of the disk for all threads that wait for one: the first syncs, the others follow."""

import os
import threading
from pathlib import Path
from typing import Final

_FOR_SYNCING: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY


class SharedSync:
    """The syncs of one worker's appended files.

    A sync covers what was written before it began, so that threads which queued for it while
    another ran need none of their own: 16 at once wait for two, not for 16.
    """

    def __init__(self) -> None:
        """Begin with nothing written."""
        self._ended = threading.Condition()
        self._syncing = False
        self._written = 0
        self._synced: dict[Path, int] = {}

    def wait(self, file: Path) -> None:
        """Return once a power cut cannot undo what the caller has written to ``file``.

        OSError where the disk does not take it.
        """
        with self._ended:
            self._written += 1
            mine = self._written
            while self._syncing and self._synced.get(file, 0) < mine:
                self._ended.wait()
            if self._synced.get(file, 0) >= mine:
                return
            self._syncing = True
            covered = self._written
        reached = 0
        try:
            _sync(file)
            reached = covered
        finally:
            self._end(file, reached)

    def _end(self, file: Path, reached: int) -> None:
        """End a sync that covers the first ``reached`` that came: none, where it failed."""
        with self._ended:
            self._syncing = False
            if reached:
                self._synced = {file: reached}
            self._ended.notify_all()


def _sync(file: Path) -> None:
    descriptor = os.open(file, _FOR_SYNCING)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
