"""``broker work``: feeds, audit log, enrolments, letters and counts, in a process of their own."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import Final

from broker.adapters.observability import application_log, metrics
from broker.adapters.observability.sealed_message_log import MessageLog
from broker.app import assembly, readiness
from broker.app.work_folder import WorkLock
from broker.configuration import durable_files
from broker.configuration.settings.config import Config
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.use_cases.storage.worker_loop import StoreSweep, run_worker_loop

# Loops that send mails: a mail server that hangs delays no account.
_MAIL_LOOPS: Final = 4
_IDLE: Final = 0.5  # seconds until a loop without due work looks again
_SIGN_OF_LIFE_EVERY: Final = 1.0
_ENDS_WITHIN: Final = 30.0  # what is under way by then is due again once its lease has ended
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
Step = Callable[[], object]


def work(read: Callable[[], Config]) -> None:
    """Work until SIGTERM or SIGINT; SIGHUP reads the configuration again.

    ConfigurationFaults if the parts cannot be opened, or if another process works on this machine.
    """
    application_log.configure()
    config = read()
    durable_files.make_state(config.state)
    lock = WorkLock(config.state)
    if not lock.take():
        what = f"another broker work runs on this machine (process {lock.holder()})"
        raise ConfigurationFaults([Fault("work", what, "stop it first")])
    with _pending_signals(), metrics.kept(config.state / "metrics"):
        _work_on(read, config, lock)


@contextmanager
def _pending_signals() -> Iterator[None]:
    """Keep signals pending, in all threads started inside, until ``sigtimedwait`` takes them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work_on(read: Callable[[], Config], config: Config, lock: WorkLock) -> None:
    """Work with the configuration that is in force until told to end."""
    parts: assembly.Parts | None = assembly.assemble(config)
    while parts is not None:
        if faults := readiness.key_faults(parts):
            raise ConfigurationFaults(faults)
        parts.tell(BrokerEvent(EventKind.WORK_STARTED))
        loops = Loops(parts)
        loops.start()
        try:
            parts = _wait_for_signal(read, loops.parts, lock)
        finally:
            loops.end()


def _wait_for_signal(
    read: Callable[[], Config], parts: assembly.Parts, lock: WorkLock
) -> assembly.Parts | None:
    """Write signs of life until a signal; return the parts to go on with, None to end."""
    while True:
        lock.tell_alive(parts.audit_log.lost())
        received = signal.sigtimedwait(_SIGNALS, _SIGN_OF_LIFE_EVERY)
        if received is None:
            continue
        if received.si_signo != signal.SIGHUP:
            return None
        renewed = _renewed(read, parts)
        if renewed is not None:
            return renewed


def _renewed(read: Callable[[], Config], parts: assembly.Parts) -> assembly.Parts | None:
    """Open everything again; log the faults and return None where that cannot be."""
    try:
        settings = read()
        if settings.state != parts.config.state:
            # The lock is in the old folder. End: systemd starts the next process in the new one.
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
            self._start("borrowers", enrolling, parts.wake, _IDLE)
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
                self.parts.wake.set()
                self.mails_wake.set()
                thread.join(0.05)

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
