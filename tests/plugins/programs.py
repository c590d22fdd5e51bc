"""Starts the programs of the tests, and leaves nothing of them, however a test ends."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_PATIENCE: Final = 20.0  # seconds in which a program may end in order


@contextmanager
def run_program(
    command: Sequence[str], environ: Mapping[str, str], **options: Any
) -> Iterator["subprocess.Popen[Any]"]:
    """Start a program with more in its environment; it ends with the block, its children too."""
    running = subprocess.Popen(command, env={**os.environ, **environ}, start_new_session=True, **options)
    try:
        yield running
    finally:
        _end(running)


def _end(running: "subprocess.Popen[Any]") -> None:
    """End a program as an init system does, and kill what is left of its session."""
    if running.poll() is None:
        running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(_PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    for pipe in (running.stdin, running.stdout, running.stderr):
        if pipe is not None:
            pipe.close()


def list_children(pid: int) -> frozenset[int]:
    """Return the children of a process: the web workers of ``broker serve``."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return frozenset(int(child) for task in tasks for child in task.read_text().split())
