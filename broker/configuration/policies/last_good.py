"""Keep the last good set of policy files, for a start while the folder is broken."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.configuration import durable_files
from broker.configuration.policies.policy_folder import digest

_FILE: Final = "last-good"


def promote(
    state: Path, files: Mapping[str, bytes], record: Callable[[str | None, str], None]
) -> None:
    """Make ``files`` the last good set; OSError if they cannot be written.

    ``record`` gets the old and the new digest before the new set becomes the last good one, and may
    raise. The folder is locked, so that only one of several workers calls it.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock_folder(state):
        kept = last_good_files(state)
        if kept == files:
            return
        name = digest(files)
        record(digest(kept) if kept else None, name)
        texts = {file: octets.decode() for file, octets in files.items()}
        written = json.dumps({"digest": name, "files": texts})
        durable_files.replace_file(state / _FILE, written.encode())


def last_good_files(state: Path) -> Mapping[str, bytes] | None:
    """Return the last good set; None without one, or if the files do not have its digest."""
    try:
        written = json.loads((state / _FILE).read_bytes())
        files = {name: text.encode() for name, text in written["files"].items()}
        return files if digest(files) == written["digest"] else None
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder, because several workers of a machine start together."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
