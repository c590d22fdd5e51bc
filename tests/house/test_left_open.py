"""Whoever leaves a socket open is told so, and nobody else."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SETTINGS: Final = "[pytest]\nfilterwarnings = error\nmarkers =\n  server\n  slow\n"
# In a circle, as a server is with its threads and handlers: nothing but a collection of garbage finds it.
LEAVING: Final = """
import socket, types
import pytest

@pytest.mark.server
def test_leaves_a_listener_open():
    held = types.SimpleNamespace(listener=socket.create_server(("127.0.0.1", 0)))
    held.itself = held
"""
INNOCENT: Final = """
import gc

def test_is_innocent():
    gc.collect()
"""


@pytest.mark.server
def test_a_socket_left_open_is_a_fault_of_the_room_that_left_it(tmp_path: Path) -> None:
    """Not of the test during which garbage happens to be collected, which may be any other."""
    files = {"pytest.ini": SETTINGS, "test_a_room.py": LEAVING, "test_stranger.py": INNOCENT}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    options = ("-p", "tests.plugins.servers", "-p", "no:randomly", "-p", "no:cacheprovider", f"--rootdir={tmp_path}")
    command = (sys.executable, "-m", "pytest", "-q", *options, "-c", tmp_path / "pytest.ini", tmp_path)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert re.findall(r"^(?:ERROR|FAILED) \S*?(\w+\.py::\w+)", ran.stdout, re.MULTILINE) == [
        "test_a_room.py::test_leaves_a_listener_open"
    ]
    assert "2 passed, 1 error" in ran.stdout
