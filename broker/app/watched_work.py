"""The ``broker work`` that ``broker serve`` starts, and starts again when it has died."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.adapters.telling import application_log
from broker.adapters.telling.event_sinks import EventSinks, to_log
from broker.core.event_routes import BrokerEvent, EventKind, Sink

_COMMAND: Final = ("-m", "broker.cli", "work", "--server")
_NOT_FROM_HERE: Final = "-P"  # the folder one stands in may be anybody's
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_SOUND_AFTER: Final = 60.0  # seconds after which a death is a first one again
_PATIENCE: Final = 8.0  # with it the server's own 30 s stay below the 40 of the unit

# The server has no store: what happens to its child is a line of the log.
_tell = EventSinks({Sink.LOG: to_log(application_log.tell)}).tell


def start() -> "WatchedWork":
    """Start ``broker work`` beside this process, which is to serve, and return it.

    To be called before anything is forked. The child reads the configuration by itself, as this
    process did.
    """
    command = [*_COMMAND, str(os.getpid())]
    if sys.path[0] != str(Path.cwd()):
        command.insert(0, _NOT_FROM_HERE)
    work = WatchedWork([sys.executable, *command])
    work.look()
    return work


class WatchedWork:
    """A child that is started again when it has died, after a pause that grows."""

    def __init__(self, command: Sequence[str]) -> None:
        """Take the command; the first ``look`` starts it."""
        self._command = list(command)
        self._owner = os.getpid()
        self._child: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._due = 0.0
        self._pause = _FIRST_PAUSE

    def look(self) -> None:
        """Start the child if it is to be started; the server's own loop calls it every second."""
        now = time.monotonic()
        child = self._child
        if child is not None and child.poll() is not None:
            self._note_death(child, now)
        if self._child is None and now >= self._due:
            self._start(now)

    def reload(self) -> None:
        """Let the child read the configuration again."""
        if self._child is not None:
            self._child.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """End the child in order; it is killed where it takes too long.

        Nothing in a web worker, which leaves by the same way out.
        """
        child = self._child
        if child is None or os.getpid() != self._owner:
            return
        self._child = None
        child.terminate()
        try:
            child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _start(self, now: float) -> None:
        # Inherited: a reload while the child starts waits for it and does not kill it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self._child = subprocess.Popen(  # noqa: S603 - this program, by its own interpreter
                self._command, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            # No memory, no processes left: the web workers serve on.
            application_log.unexpected(error, "server")
            self._put_off(now)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._began = now

    def _note_death(self, child: "subprocess.Popen[bytes]", now: float) -> None:
        self._child = None
        if now - self._began >= _SOUND_AFTER:
            self._pause = _FIRST_PAUSE
        pause = self._put_off(now)
        again = round(pause)
        _tell(BrokerEvent(EventKind.WORK_DIED, {"pid": child.pid, "again_after_seconds": again}))

    def _put_off(self, now: float) -> float:
        """Put the next start off, and return for how many seconds."""
        pause = self._pause
        self._due = now + pause
        self._pause = min(2 * pause, _LONGEST_PAUSE)
        return pause
