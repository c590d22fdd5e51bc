"""The file that shows the web workers of a machine whether its ``broker work`` runs."""

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

DISTRIBUTION: Final = "library-identity-broker"  # whose version the broker's is
# As it was when this process began: an upgrade changes what is installed beneath it.
_RELEASE: Final = version(DISTRIBUTION)
_FOLDER: Final = "work"
_LOCK: Final = "lock"
_LARGEST: Final = 4096
_SILENT_FOR: Final = 60.0  # seconds without a sign of life after which something is wrong
_LOCK_TRIES: Final = 20
_LOCK_PAUSE_S: Final = 0.1
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What the ``broker work`` of a machine last said of itself.

    ``lost`` counts the events that its audit log could not keep; ``age`` is in seconds.
    """

    pid: int
    release: str
    lost: int
    age: float


def sign_of_life(state: Path) -> SignOfLife | None:
    """Return what ``broker work`` on this machine said last, None where none runs."""
    try:
        lock = os.open(state / _FOLDER / _LOCK, _READ)
    except OSError:
        return None
    try:
        # Shared: any number of web workers may look at the same time.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _said(lock)
    finally:
        os.close(lock)
    return None


def _said(lock: int) -> SignOfLife:
    """Read the sign of life; one that is not written yet says nothing wrong."""
    said: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        said = json.loads(os.pread(lock, _LARGEST, 0))
    age = time.time() - os.fstat(lock).st_mtime
    return SignOfLife(
        int(said.get("pid", 0)),
        str(said.get("release", _RELEASE)),
        int(said.get("lost", 0)),
        max(age, 0.0),
    )


def note(state: Path) -> str | None:
    """Return what is amiss with ``broker work`` on this machine, in a sentence, or None.

    Logins go on meanwhile: what waits are enrolments, letters and the feeds.
    """
    said = sign_of_life(state)
    if said is None:
        return "no broker work runs on this machine: enrolments, letters and feeds wait for one"
    if said.age > _SILENT_FOR:
        return f"broker work (process {said.pid}) has not been heard of for {said.age:.0f} s"
    if said.release != _RELEASE:
        return f"broker work is of release {said.release}, this is {_RELEASE}: restart it"
    return None


def lost(state: Path) -> int:
    """Return how many events the audit log of ``broker work`` on this machine could not keep."""
    said = sign_of_life(state)
    return said.lost if said else 0


class WorkLock:
    """The right to be the one ``broker work`` of a machine; it ends with its process."""

    def __init__(self, state: Path) -> None:
        """Open the lock below ``state``, which is not taken by that; OSError."""
        self.folder = state / _FOLDER
        self.folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self._lock = os.open(self.folder / _LOCK, flags, 0o600)

    def take(self) -> bool:
        """Take the lock; False if another process holds it for two seconds."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # a web worker that looks holds it for a moment
                time.sleep(_LOCK_PAUSE_S)
            else:
                return True
        return False

    def holder(self) -> int:
        """Return the id of the process that holds it, as it said; 0 where it has not said."""
        return _said(self._lock).pid

    def tell_alive(self, lost: int) -> None:
        """Write the sign of life that the web workers read; a disk that refuses stops no work."""
        said = {"pid": os.getpid(), "release": _RELEASE, "lost": lost}
        octets = json.dumps(said).encode()
        with suppress(OSError):
            os.utime(self._lock)
            os.pwrite(self._lock, octets, 0)
            os.ftruncate(self._lock, len(octets))
