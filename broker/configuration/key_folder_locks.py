"""The folder of the keys: the locks of its readers and writers, and the modes of its files."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault

_GROUP_AND_OTHERS: Final = 0o077  # mode bits that no file of ours may have


def exposed(folder: Path) -> tuple[Fault, ...]:
    """Return a fault for the folder, and for every file in it, that its group or others may use.

    A folder that does not exist exposes nothing.
    """
    if not folder.is_dir():
        return ()
    paths = [folder, *sorted(folder.rglob("*"))]
    return tuple(
        Fault(str(path), "is open to its group or others", f"chmod go= {path}")
        for path in paths
        if path.stat().st_mode & _GROUP_AND_OTHERS
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Refuse a second rotation until this one is done, or its process dead.

    ConfigurationFaults for the second, and for a folder that does not exist.
    """
    if not folder.is_dir():
        fault = Fault(str(folder), "is no folder", "broker keys generate")
        raise ConfigurationFaults([fault])
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        fault = Fault(str(folder), "is being rotated already", "wait until that is done")
        raise ConfigurationFaults([fault]) from None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Let readers of the keys wait until this step of a rotation is done."""
    with _locked(folder / "store", fcntl.LOCK_EX):
        yield


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Wait for a rotation's step to end: between two renames a key and its certificate differ."""
    with _locked(folder / "store", fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    if not folder.is_dir():
        # Nothing that could be rotated; the reader of the keys raises for what is missing.
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
