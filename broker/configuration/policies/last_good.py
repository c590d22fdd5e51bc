"""Keep the last good set of policy files, for a start while the folder is broken."""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.configuration import durable_files as durable
from broker.configuration.policies.policy_folder import digest

_FOLDER: Final = "last-good"
_CURRENT: Final = "current"
_SHA256: Final = re.compile("[0-9a-f]{64}")


def promote(
    state: Path, files: Mapping[str, bytes], record: Callable[[str | None, str], None]
) -> None:
    """Make ``files`` the last good set; raise OSError if they cannot be written.

    ``record`` gets the old and the new digest before the new set becomes the last good one, and may
    raise. The folder is locked, so that only one of several workers calls it.

    A crash at any point leaves the old or the new set: the files are written to a folder that is
    renamed to their hash when it is complete, and then one rename moves the pointer.
    """
    home = state / _FOLDER
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = digest(files)
    with _lock_folder(home, fcntl.LOCK_EX):
        before = _read_current(home)
        if before == name and _read_files(home / name) == files:
            return
        _write_set(home, name, files)
        if before != name:
            record(before, name)
        pointer = home / f".{secrets.token_hex(8)}"
        _write(pointer, name.encode())
        pointer.rename(home / _CURRENT)
        durable.sync_folder(home)
        _sweep(home, name)


def last_good_digest(state: Path) -> str | None:
    """Return the digest of the last good set, or None."""
    try:
        return _read_current(state / _FOLDER)
    except OSError:
        return None


def _write_set(home: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Write the files into a folder that gets its name when it is complete.

    Link a file that the last set has: a thousand syncs would delay the audit log.
    """
    making = home / f".{secrets.token_hex(8)}"
    making.mkdir(mode=0o700)
    current = _read_current(home)
    last = home / (current or "")
    held = (_read_files(last) if current else None) or {}
    for file_name, octets in files.items():
        linked = held.get(file_name) == octets and _link_file(last / file_name, making / file_name)
        if not linked:
            _write(making / file_name, octets)
    durable.sync_folder(making)
    if (home / name).exists():
        shutil.rmtree(home / name)  # damaged, or nothing points to it
    making.rename(home / name)


def last_good_files(state: Path) -> Mapping[str, bytes] | None:
    """Return the last good set; None without one, or if the hash of its files is not its name."""
    home = state / _FOLDER
    if not home.is_dir():
        return None
    try:
        with _lock_folder(home, fcntl.LOCK_SH):
            name = _read_current(home)
            if name is None:
                return None
            files = _read_files(home / name)
    except OSError:
        return None
    if not files or digest(files) != name:
        return None
    return files


@contextmanager
def _lock_folder(home: Path, how: int) -> Iterator[None]:
    """Hold the lock of the folder, because several workers of a machine start together."""
    lock = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _read_current(home: Path) -> str | None:
    try:
        name = (home / _CURRENT).read_text("ascii", "replace")
    except FileNotFoundError:
        return None
    if not _SHA256.fullmatch(name):
        return None
    return name


def _read_files(folder: Path) -> dict[str, bytes] | None:
    try:
        return {path.name: path.read_bytes() for path in folder.iterdir()}
    except OSError:
        return None


def _link_file(there: Path, here: Path) -> bool:
    """Link a file; return False if the disk cannot."""
    try:
        here.hardlink_to(there)
    except OSError:
        return False
    return True


def _write(path: Path, octets: bytes) -> None:
    with path.open("xb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _sweep(home: Path, keep: str) -> None:
    """Remove the files of older sets and of crashes."""
    for path in home.iterdir():
        if path.is_dir() and path.name != keep:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file() and path.name != _CURRENT:
            path.unlink(missing_ok=True)
