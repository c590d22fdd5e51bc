"""Writes, renames and removes files so that each step is whole, and reaches the disk before the next one does."""

import os
from pathlib import Path


def put(path: Path, octets: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    moved(new, path)


def moved(old: Path, new: Path) -> None:
    """Rename a file, over another if there is one."""
    old.replace(new)
    synced(new.parent)


def gone(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)
    synced(path.parent)


def synced(folder: Path) -> None:
    """Wait until the disk has which files a folder holds: else a power cut may forget a name, and the file with it."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
