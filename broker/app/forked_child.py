"""A child of this process that goes on with what this one has imported."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Final

_NAME: Final = Path("/proc/self/comm")
_LONGEST_NAME: Final = 15  # letters, which the kernel keeps
_LOOKED_EVERY: Final = 0.01
_FAILED: Final = 1
_ALL: Final = signal.valid_signals()
# Set by Python in every program that it starts; what writes into a pipe relies on it.
_KEPT: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


class ForkedChild:
    """A process that ``forked`` has started; its methods are those of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        """Take the process id of a child."""
        self.pid = pid
        self._ended: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None while it runs.

        It is 0 where somebody else in this process has taken the true one, as gunicorn does.
        """
        if self._ended is not None:
            return self._ended
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self._ended = 0
            return self._ended
        if pid:
            self._ended = os.waitstatus_to_exitcode(status)
        return self._ended

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code; TimeoutExpired after so many seconds."""
        until = time.monotonic() + timeout if timeout is not None else None
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(_LOOKED_EVERY)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        # Looked at first: the number of a process that has ended may be another's by now.
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def forked(name: str, run: Callable[[], object]) -> ForkedChild:
    """Run ``run`` in a child, which ends with it, by the code of its SystemExit; return the child.

    It has no standard input, no signal of this process's has a meaning there, and ``name`` is what
    ``ps`` and ``top`` show. OSError where there is no room for it. To be called where one thread
    runs, for the others are not in the child.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal to the child before it has forgotten our way of handling it would be lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    try:
        pid = os.fork()
        if not pid:
            _run_as_child(name, run, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return ForkedChild(pid)


def _run_as_child(name: str, run: Callable[[], object], mask: set[int | signal.Signals]) -> None:
    """Run, and end the process: nothing that this process was in the middle of goes on there."""
    code = _FAILED
    try:
        _begin_anew(name, mask)
        run()
        code = 0
    except SystemExit as end:
        code = _exit_code(end)
    finally:
        # Also for an error: its traceback may quote anything.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _begin_anew(name: str, mask: set[int | signal.Signals]) -> None:
    for number in _ALL - _KEPT:
        with suppress(OSError):  # two that nobody can handle
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    with suppress(OSError):  # a name is for people only
        _NAME.write_text(name[:_LONGEST_NAME], encoding="utf-8")


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    return end.code if isinstance(end.code, int) else _FAILED
