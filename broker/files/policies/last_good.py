"""The last good set of policy files, kept on this machine under its own hash, for a start that finds no valid one."""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.files import durable_files as durable

_FOLDER: Final = "last-good"
_CURRENT: Final = "current"
_SHA256: Final = re.compile("[0-9a-f]{64}")


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 over names and bytes, each with its length in front, in the order of the names."""
    total = hashlib.sha256()
    for name, octets in sorted(files.items()):
        for part in (name.encode(), octets):
            total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def promote(state: Path, files: Mapping[str, bytes]) -> None:
    """Make ``files`` the last good set, so that a crash at any point leaves the old one or the new one; OSError if not.

    The files lie in a folder named by their hash, complete before it gets that name; then one
    rename moves the pointer.
    """
    home = state / _FOLDER
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = digest(files)
    with _locked(home, fcntl.LOCK_EX):
        if _current(home) == name and _held(home / name) == files:
            return
        making = home / f".{secrets.token_hex(8)}"
        making.mkdir(mode=0o700)
        for each, octets in files.items():
            _written(making / each, octets)
        durable.synced(making)
        if (home / name).exists():
            shutil.rmtree(home / name)  # it is not what its name says, or nothing points to it
        making.rename(home / name)
        pointer = home / f".{secrets.token_hex(8)}"
        _written(pointer, name.encode())
        pointer.rename(home / _CURRENT)
        durable.synced(home)
        _swept(home, name)


def last_good_files(state: Path) -> Mapping[str, bytes] | None:
    """Return the last good set, or None where there is none or its files no longer hash to its name."""
    home = state / _FOLDER
    if not home.is_dir():
        return None
    try:
        with _locked(home, fcntl.LOCK_SH):
            name = _current(home)
            files = _held(home / name) if name else None
    except OSError:
        return None
    return files if files and digest(files) == name else None


@contextmanager
def _locked(home: Path, how: int) -> Iterator[None]:
    """Hold the folder's lock: the workers of one machine start together."""
    lock = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _current(home: Path) -> str | None:
    try:
        name = (home / _CURRENT).read_text("ascii", "replace")
    except FileNotFoundError:
        return None
    return name if _SHA256.fullmatch(name) else None


def _held(folder: Path) -> dict[str, bytes] | None:
    try:
        return {path.name: path.read_bytes() for path in folder.iterdir()}
    except OSError:
        return None


def _written(path: Path, octets: bytes) -> None:
    with path.open("xb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _swept(home: Path, keep: str) -> None:
    """Remove what older sets and crashes left behind."""
    for path in home.iterdir():
        if path.is_dir() and path.name != keep:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file() and path.name != _CURRENT:
            path.unlink(missing_ok=True)
