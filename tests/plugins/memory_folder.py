"""Keeps the temporary files of a run in memory if there is room: the tests sync tens of thousands of files."""

import os
import tempfile
from pathlib import Path
from typing import Final

import pytest

MEMORY: Final = Path("/dev/shm")
ROOM: Final = 2**31  # bytes; a whole run uses less than a quarter of it


def fits(folder: Path) -> bool:
    """Return whether a folder is writable, allows programs to run, and has room."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return False
    system = os.statvfs(folder)
    runs = not system.f_flag & os.ST_NOEXEC  # containers often mount it so, and small
    return runs and system.f_bavail * system.f_frsize >= ROOM


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Choose the folder before the first file is written, unless TMPDIR is set."""
    if "TMPDIR" not in os.environ and fits(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # read TMPDIR again
