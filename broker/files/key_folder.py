"""The folder of the keys: who may be at it at one time, and whom its files are open to."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault

OURS: Final = 0o077  # mode bits that nobody but the owner may have


def exposed(folder: Path) -> tuple[Fault, ...]:
    """Give a fault for the folder and each file in it that its group or others may read, write or enter."""
    there = [folder, *sorted(folder.rglob("*"))] if folder.is_dir() else []
    return tuple(
        Fault(str(each), "is open to its group or others", f"chmod go= {each}")
        for each in there
        if each.stat().st_mode & OURS
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a second rotation out until this one is done, or its process dead; ``ConfigurationFaults`` for that one."""
    if not folder.is_dir():
        raise ConfigurationFaults([Fault(str(folder), "is no folder", "broker keys generate")])
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise ConfigurationFaults(
            [Fault(str(folder), "is being rotated already", "wait until that is done")]
        ) from None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keep those that read the keys out until this is done."""
    with _locked(folder / "store", fcntl.LOCK_EX):
        yield


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Wait for a step of a rotation to be whole: between two renames a key and its certificate differ."""
    with _locked(folder / "store", fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    if (
        not folder.is_dir()
    ):  # nothing that could be rotated; whoever reads the keys tells what is missing
        yield
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, how)
        yield
    finally:
        os.close(opened)
