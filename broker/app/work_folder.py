"""The folder by which the web workers of a machine and its ``broker work`` know of each other."""

import fcntl
import json
import os
import select
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any, Final

DISTRIBUTION: Final = "library-identity-broker"  # whose version the broker's is
# As it was when this process began: an upgrade changes what is installed beneath it.
_RELEASE: Final = version(DISTRIBUTION)
_FOLDER: Final = "work"
_LOCK: Final = "lock"
_PIPE: Final = "wake"
_LARGEST: Final = 4096
_SILENT_FOR: Final = 60.0  # seconds without a sign of life after which something is wrong
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW
_WAKE: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW
# Read and write: with a writer of its own the pipe never ends, whatever process comes and goes.
_LISTEN: Final = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What the ``broker work`` of a machine last said of itself.

    ``lost`` counts the events that its audit trail could not keep; ``age`` is in seconds.
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
    said: Mapping[str, Any] = {}
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
    """Return how many events the trail of ``broker work`` on this machine could not keep."""
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
        """Take the lock; False while another process holds it."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

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

    @contextmanager
    def listening(self) -> Iterator["WakeListener"]:
        """Yield the reading end of the pipe by which web workers wake this process; OSError."""
        path = self.folder / _PIPE
        with suppress(FileExistsError):  # another process may make it at this moment
            os.mkfifo(path, 0o600)
        pipe = os.open(path, _LISTEN)
        try:
            if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
                raise FileExistsError(17, "is no pipe; remove it", str(path))
            yield WakeListener(pipe)
        finally:
            os.close(pipe)


class WakeListener:
    """The reading end of the pipe."""

    def __init__(self, pipe: int) -> None:
        """Take the descriptor of the pipe, opened to read and write without blocking."""
        self._pipe = pipe

    def wait(self, seconds: float) -> bool:
        """Wait until woken, at most ``seconds``; return whether that happened."""
        readable, _, _ = select.select([self._pipe], [], [], seconds)
        if not readable:
            return False
        with suppress(BlockingIOError):
            while os.read(self._pipe, _LARGEST):
                pass
        return True

    def wake(self) -> None:
        """Wake this process itself: a signal that came in may not wait for the next second."""
        with suppress(OSError):
            os.write(self._pipe, b".")


class WakeSignal:
    """Wakes ``broker work`` of this machine, and the loops of this process where it has some."""

    def __init__(self, state: Path) -> None:
        """Take the folder of the state; the pipe need not be there."""
        self._pipe = state / _FOLDER / _PIPE
        self.local = Event()

    def set(self) -> None:
        """Wake; where none listens it finds what is due by itself, once it runs."""
        self.local.set()
        with suppress(OSError):  # nobody listens, or the pipe is full of what will wake it
            pipe = os.open(self._pipe, _WAKE)
            try:
                os.write(pipe, b".")
            finally:
                os.close(pipe)

    def clear(self) -> None:
        """Make the next ``wait`` sleep again."""
        self.local.clear()

    def wait(self, timeout: float) -> bool:
        """Wait until a part of this process sets it, at most ``timeout`` seconds."""
        return self.local.wait(timeout)
