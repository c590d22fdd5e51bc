"""Starts the programs of the tests, and leaves nothing of them, however a test ends."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

_PATIENCE: Final = 20.0  # seconds in which a program may end in order


@contextmanager
def started(command: Sequence[str], environ: Mapping[str, str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
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


class Children(NamedTuple):
    """The processes that a ``broker serve`` has started: those that answer requests, and ``broker work``."""

    web: frozenset[int]
    work: frozenset[int]


def children(pid: int) -> Children:
    """Give the children of a ``broker serve``."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found[_works(child)].add(child)
    return Children(frozenset(found[False]), frozenset(found[True]))


def _works(pid: int) -> bool:
    """Say whether a process is ``broker work``; one that has ended is not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text() == "broker work\n"
    return False
