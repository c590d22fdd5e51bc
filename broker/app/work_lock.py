"""The lock of ``broker work``: one process per machine. Web workers check whether it is held."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault

NOT_RUNNING: Final = (
    "no broker work runs on this machine: enrolments, mails and metadata feeds wait for it"
)
HANGS: Final = (
    "broker work on this machine has not finished a round for ten minutes: see whether a disk "
    "hangs, and restart it"
)
_LOCK_FILE: Final = "work.lock"
_TRIES: Final = 20
_PAUSE_S: Final = 0.1


@contextmanager
def hold_work_lock(state: Path) -> Iterator[None]:
    """Hold the lock in the state folder. Raises ConfigurationFaults if another process has it."""
    lock = os.open(state / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        # Try for two seconds: a web worker that checks the lock holds it for a moment.
        if not any(_try_lock(lock) for _ in range(_TRIES)):
            fault = Fault("work", "another broker work runs on this machine", "stop it first")
            raise ConfigurationFaults([fault])
        yield
    finally:
        os.close(lock)


def is_work_running(state: Path) -> bool:
    """Return whether a ``broker work`` on this machine holds the lock."""
    try:
        lock = os.open(state / _LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        # A shared lock, because several web workers may check at the same time.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_PAUSE_S)
        return False
    return True
