"""``broker work``: feeds, trail, enrolments, letters and counts, in a process of their own."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import Final

from broker.adapters.telling import application_log, metrics
from broker.adapters.telling.event_sinks import EventSinks, to_log
from broker.adapters.telling.sealed_message_log import MessageLog
from broker.app import assembly, readiness
from broker.app.work_folder import WakeListener, WorkLock
from broker.core.errors import BrokerError, ConfigurationFaults
from broker.core.event_routes import BrokerEvent, EventKind, Sink
from broker.files import durable_files
from broker.files.settings.config import Config
from broker.use_cases.store_sweep import StoreSweep
from broker.use_cases.worker_loop import run_worker_loop

# Loops that send mails: a mail server that hangs delays no account.
_MAIL_LOOPS: Final = 4
_IDLE: Final = 2.0
_SIGN_OF_LIFE_EVERY: Final = 1.0
_LOCK_TRIED_EVERY: Final = 0.2
_ENDS_WITHIN: Final = 30.0  # what is under way by then is due again once its lease has ended
_ENDS: Final = (signal.SIGTERM, signal.SIGINT)
Step = Callable[[], object]
# Before the store is open, what happens is a line of the log.
_tell = EventSinks({Sink.LOG: to_log(application_log.tell)}).tell


def work(read: Callable[[], Config], server: int | None = None) -> None:
    """Work until told to stop; HUP reads the configuration again, and works by it if it is sound.

    Where another process works on this machine, this one waits until that has ended. ``server`` is
    the process id of the ``broker serve`` that has started this one: it ends with it.
    ConfigurationFaults where the parts cannot be opened.
    """
    application_log.configure()
    settings = read()
    durable_files.make_state(settings.state)
    lock = WorkLock(settings.state)
    with lock.listening() as pipe, _told(pipe, server) as told:
        if not _locked(lock, told):
            return
        with metrics.kept(settings.state / "metrics"):
            _work_on(read, settings, lock, told)


@dataclass(slots=True)
class _Told:
    """What this process has been told from outside: to end, or to read everything again."""

    pipe: WakeListener
    server: int | None
    end: bool = False
    reload: bool = False

    def look(self) -> None:
        """Look whether the server that started this process is still there."""
        if self.server is not None and os.getppid() != self.server:
            self.end = True

    def by_signal(self, number: int, _: object) -> None:
        """Note a signal, and wake the loop that acts upon it."""
        if number == signal.SIGHUP:
            self.reload = True
        else:
            self.end = True
        self.pipe.wake()


@contextmanager
def _told(pipe: WakeListener, server: int | None) -> Iterator[_Told]:
    """Listen to signals while the block runs."""
    told = _Told(pipe, server)
    heard = (*_ENDS, signal.SIGHUP)
    before = [signal.signal(number, told.by_signal) for number in heard]
    try:
        yield told
    finally:
        for number, former in zip(heard, before, strict=True):
            signal.signal(number, former)


def _locked(lock: WorkLock, told: _Told) -> bool:
    """Wait for the lock, and say so in a sentence; False where this process is told to end."""
    if lock.take():
        return True
    other = lock.holder()
    what = f"broker work runs on this machine (process {other})"
    sys.stderr.write(f"{what}; this one waits until that has ended\n")
    _tell(BrokerEvent(EventKind.WORK_WAITS, {"other": other}))
    while not told.end:
        time.sleep(_LOCK_TRIED_EVERY)
        told.look()
        if lock.take():
            told.reload = True  # what was read before may have changed since
            return True
    return False


def _work_on(read: Callable[[], Config], settings: Config, lock: WorkLock, told: _Told) -> None:
    """Work by the configuration of the moment until told to end."""
    if told.reload:
        told.reload = False  # before the reading: what is told meanwhile is read once more
        settings = read()
    parts: assembly.Parts | None = assembly.assemble(settings)
    while parts is not None:
        if faults := readiness.key_faults(parts):
            raise ConfigurationFaults(faults)
        parts.tell(BrokerEvent(EventKind.WORK_STARTED))
        loops = Loops(parts)
        loops.start()
        try:
            renewed = _until_told(read, loops, lock, told)
        finally:
            loops.end()
        parts = renewed


def _until_told(
    read: Callable[[], Config], loops: "Loops", lock: WorkLock, told: _Told
) -> assembly.Parts | None:
    """Show that this process lives until it is told what to do; return what to go on with."""
    while not told.end:
        lock.tell_alive(loops.parts.trail.lost())
        if told.pipe.wait(_SIGN_OF_LIFE_EVERY):
            loops.wake()
        told.look()
        if told.reload:
            told.reload = False
            renewed = _renewed(read, loops.parts)
            if renewed is not None:
                return renewed
    return None


def _renewed(read: Callable[[], Config], parts: assembly.Parts) -> assembly.Parts | None:
    """Open everything again; log the faults and return None where that cannot be."""
    try:
        settings = read()
        if settings.state != parts.config.state:
            # The lock is in the old folder: the process that is started next takes the new one.
            os.kill(os.getpid(), signal.SIGTERM)
            return None
        renewed = assembly.assemble(settings)
    except BrokerError as error:
        faults = [str(error)]
        if isinstance(error, ConfigurationFaults):
            faults = [str(fault) for fault in error.faults]
        for fault in faults:
            facts = {"reason": error.reason, "fault": fault}
            parts.tell(BrokerEvent(EventKind.RELOAD_REFUSED, facts))
        return None
    return renewed


@dataclass(slots=True)
class Loops:
    """The threads of ``broker work`` over one configuration."""

    parts: assembly.Parts
    ending: Event = field(default_factory=Event)
    feeds_wake: Event = field(default_factory=Event)
    mails_wake: Event = field(default_factory=Event)
    threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start every loop."""
        parts = self.parts
        live = parts.config.library.mode == "live"
        enrolling = [parts.person_worker.step] if live else []
        for _ in range(parts.config.library.connections):
            self._start("borrowers", enrolling, parts.wake.local, _IDLE)
        for _ in range(_MAIL_LOOPS):
            self._start("mails", [parts.outbox.step], self.mails_wake, _IDLE)
        # A loop of its own: a feed that takes a minute must not keep a borrower waiting.
        self._start("upkeep", list(_upkeep(parts)), self.feeds_wake, _IDLE)

    def end(self) -> None:
        """Let every loop end what it is at, for so long as that may take."""
        self.ending.set()
        self.feeds_wake.set()
        until = time.monotonic() + _ENDS_WITHIN
        for thread in self.threads:
            while thread.is_alive() and time.monotonic() < until:
                # Set again: a loop clears it before it looks whether it is to end.
                self.parts.wake.local.set()
                self.mails_wake.set()
                thread.join(0.05)

    def wake(self) -> None:
        """Wake the loops: something is wanted, or a mail queued."""
        self.parts.wake.local.set()
        self.mails_wake.set()

    def _start(self, name: str, steps: Sequence[Step], wake: Event, idle: float) -> None:
        arguments = (steps, wake, self.ending.is_set, idle, _report)
        thread = Thread(target=run_worker_loop, args=arguments, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()


def _upkeep(parts: assembly.Parts) -> Iterator[Step]:
    """Yield what is done beside enrolments and letters, each step when it is time."""
    yield partial(_fetch, parts)
    yield parts.library_proof.step
    yield StoreSweep(parts.store, assembly.now).step
    yield parts.log_budget.step
    yield parts.metrics.count_dropped
    if parts.messages is not None:
        yield partial(_delete_old, parts.messages)


def _fetch(parts: assembly.Parts) -> None:
    parts.metadata.fetch(assembly.now())


def _delete_old(messages: MessageLog) -> None:
    """Delete old messages, on days when nobody logs in too."""
    messages.step(assembly.now())


def _report(error: Exception) -> None:
    application_log.unexpected(error, "work")
