"""Write, rename and remove files so that each step is on the disk before the next one begins."""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault

_REPLACE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_OTHERS: Final = 0o022
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


def make_state(folder: Path) -> None:
    """Make the folder of the broker's state for its owner only, unless it is there.

    Raises ConfigurationFaults if no file can be made in it, or if other users can write in it.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what = f"{folder} cannot be written to: {error.strerror}"
        fix = "name a folder that the broker's user may write in, outside its configuration"
        raise ConfigurationFaults([Fault("state", what, fix)]) from None
    if folder.stat().st_mode & _OTHERS:
        what = f"{folder} is open for others to write"
        raise ConfigurationFaults([Fault("state", what, f"chmod go-w {folder}")])


def read_bytes(path: Path, most: int = -1) -> bytes:
    """Return the first ``most`` bytes of a file.

    Raises OSError for a named pipe too: reading it would never end.
    """
    if path.is_fifo():
        raise OSError(errno.EINVAL, "it is a named pipe")
    with path.open("rb") as file:
        return file.read(most)


def create_once(path: Path, octets: bytes) -> bytes:
    """Return what a file holds; if it is missing, make it with ``octets``.

    Of several processes the first one makes it.
    """
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent) as new:
            new.write(octets)
            new.flush()
            os.fsync(new.fileno())
            with suppress(FileExistsError):
                os.link(new.name, path)
        sync_folder(path.parent)
    return path.read_bytes()


def replace_file(path: Path, octets: bytes) -> None:
    """Replace or create a file atomically, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, _REPLACE, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    rename_file(new, path)


def rename_file(old: Path, new: Path) -> None:
    """Rename a file; an existing file at ``new`` is replaced."""
    old.replace(new)
    sync_folder(new.parent)


def remove_file(path: Path) -> None:
    """Remove a file if it exists."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder: a power cut would lose a new name that is not synced."""
    descriptor = os.open(folder, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
