"""Starts programs for tests and stops them with their children, also when a test fails."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_PATIENCE: Final = 20.0  # seconds that a program has to stop


@contextmanager
def run_program(
    command: Sequence[str], environ: Mapping[str, str], **options: Any
) -> Iterator["subprocess.Popen[Any]"]:
    """Start a program with more environment variables; stop it and its children after the block."""
    running = subprocess.Popen(command, env={**os.environ, **environ}, start_new_session=True, **options)
    try:
        yield running
    finally:
        _end(running)


def _end(running: "subprocess.Popen[Any]") -> None:
    """Stop a program with SIGTERM, then kill the rest of its session."""
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


def wait_until(is_true: Callable[[], object], seconds: float = 120) -> None:
    """Wait until a condition holds; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"timed out after {seconds} s"
        time.sleep(0.02)


def list_children(pid: int) -> frozenset[int]:
    """Return the children of a process: the web workers of ``broker serve``."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return frozenset(int(child) for task in tasks for child in task.read_text().split())
