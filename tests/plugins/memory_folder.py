"""Keeps the temporary files of a run in memory where there is room: the tests write tens of thousands and sync them."""

import os
import tempfile
from pathlib import Path
from typing import Final

import pytest

MEMORY: Final = Path("/dev/shm")
ROOM: Final = 2**31  # octets; a whole run keeps less than a quarter of it


def fits(folder: Path) -> bool:
    """Say whether a folder is ours to write to, lets programs run, and has room."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return False
    system = os.statvfs(folder)
    runs = not system.f_flag & os.ST_NOEXEC  # containers often mount it so, and small
    return runs and system.f_bavail * system.f_frsize >= ROOM


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Choose the folder before the first file is written; whoever has named one keeps it."""
    if "TMPDIR" not in os.environ and fits(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # asked for anew
