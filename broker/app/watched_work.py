"""The ``broker work`` that ``broker serve`` starts, and starts again when it has died."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGHUP
from subprocess import TimeoutExpired
from typing import Final, Protocol

from broker.adapters.telling import application_log
from broker.adapters.telling.event_sinks import EventSinks, to_log
from broker.app.forked_child import forked
from broker.app.work_folder import sign_of_life
from broker.core.event_routes import BrokerEvent, EventKind, Sink

_NAME: Final = "broker work"
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_SOUND_AFTER: Final = 60.0  # seconds after which a death is a first one again
_PATIENCE: Final = 8.0  # with it the server's own 30 s stay below the 40 of the unit

# The server has no store: what happens to its child is a line of the log.
_tell = EventSinks({Sink.LOG: to_log(application_log.tell)}).tell


class Child(Protocol):
    """A process that has been started, as ``subprocess.Popen`` has it."""

    @property
    def pid(self) -> int:
        """Return its process id."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; TimeoutExpired."""

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it at once."""


def start(state: Path, run: Callable[[int], object], leave: Callable[[], None]) -> "WatchedWork":
    """Start ``broker work`` beside this process, which is to serve, and return it.

    ``state`` is the folder of the state. ``run`` is the command, given the process id of this
    process; it reads the configuration by itself, as this process did, in a child that has all
    code of this process: that costs neither time nor memory twice, and is of the same release as
    the web workers. ``leave`` closes there what only a server has open. To be called before
    anything is forked.
    """
    server = os.getpid()

    def work() -> None:
        leave()
        run(server)

    watched = WatchedWork(partial(forked, _NAME, work), state)
    watched.look()
    return watched


class WatchedWork:
    """A child that is started again when it has died, after a pause that grows."""

    def __init__(self, begin: Callable[[], Child], state: Path) -> None:
        """Take what starts it, and the folder where it says that it works; ``look`` starts it."""
        self._begin = begin
        self._state = state
        self._owner = os.getpid()
        self._child: Child | None = None
        self._began = 0.0
        self._due = 0.0
        self._pause = _FIRST_PAUSE
        self._reload_due = False

    def look(self) -> None:
        """Start the child if it is to be started; the server's own loop calls it every second."""
        now = time.monotonic()
        child = self._child
        if child is not None and child.poll() is not None:
            self._note_death(child, now)
        if self._child is None and now >= self._due:
            self._start(now)
        if self._reload_due:
            self._pass_reload_on()

    def reload(self) -> None:
        """Let the child read the configuration again, once it works: before, it would die of it."""
        self._reload_due = True
        self._pass_reload_on()

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
        except TimeoutExpired:
            child.kill()
            child.wait()

    def _pass_reload_on(self) -> None:
        said = sign_of_life(self._state)
        if said is not None and self._child is not None and said.pid == self._child.pid:
            self._child.send_signal(SIGHUP)
            self._reload_due = False

    def _start(self, now: float) -> None:
        self._reload_due = False  # it reads what there is now
        try:
            self._child = self._begin()
        except OSError as error:
            # No memory, no processes left: the web workers serve on.
            application_log.unexpected(error, "server")
            self._put_off(now)
            return
        self._began = now

    def _note_death(self, child: Child, now: float) -> None:
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
