"""``broker work``: enrolments, mails, metadata feeds and the removal of expired records."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Final

from broker.adapters.observability import application_log, metrics
from broker.app import assembly, readiness
from broker.app.fleet_report import FleetReport
from broker.app.work_lock import hold_work_lock
from broker.configuration import durable_files
from broker.configuration.settings.config import Config
from broker.core.errors import BrokerError, ConfigurationFaults, StoreUnavailable
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.use_cases.storage.worker_loop import StoreSweep, run_worker_loop

_MAIL_LOOPS: Final = 4
_UPKEEP: Final = "upkeep"
_IDLE_S: Final = 0.5  # a loop without due work looks again after this time
_STORE_PAUSE_S: Final = 2.0  # after a try without an answer of the store
_STOP_WITHIN_S: Final = 30.0  # a task that takes longer is due again when its lease has ended
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
Step = Callable[[], object]


def work(read: Callable[[], Config]) -> None:
    """Work until SIGTERM or SIGINT; on SIGHUP read the configuration again.

    Raises ConfigurationFaults if a part cannot be opened, or if another process works on this
    machine.
    """
    application_log.configure()
    settings = read()
    durable_files.make_state(settings.state)
    with (
        hold_work_lock(settings.state),
        _block_signals(),
        metrics.keep_counts(settings.state / metrics.FOLDER),
    ):
        parts: assembly.Parts | None = assembly.assemble(settings)
        while parts is not None:
            if faults := readiness.key_faults(parts):
                raise ConfigurationFaults(faults)
            parts.tell(BrokerEvent(EventKind.WORK_STARTED))
            with _run_loops(parts):
                parts = _wait_for_signal(read, parts)


@contextmanager
def _block_signals() -> Iterator[None]:
    """Keep signals pending, in all threads started inside, until ``sigwait`` takes them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_for_signal(read: Callable[[], Config], parts: assembly.Parts) -> assembly.Parts | None:
    """Return the parts of a reloaded configuration, or None to stop."""
    while signal.sigwait(_SIGNALS) == signal.SIGHUP:
        try:
            return assembly.finish_reload(lambda: assembly.assemble(read()))
        except BrokerError as error:
            for event in readiness.describe_faults(EventKind.RELOAD_REFUSED, error):
                parts.tell(event)
    return None


@contextmanager
def _run_loops(parts: assembly.Parts) -> Iterator[None]:
    """Run each loop in one or several threads; at the end wait until each has finished its task.

    Mails and feeds have loops of their own: a slow mail server or feed must not delay enrolments.
    """
    live = parts.config.library.mode == "live"
    borrowers: Sequence[Step] = [parts.person_worker.step] if live else []
    loops = [("borrowers", borrowers)] * parts.config.library.connections
    loops += [("mails", [parts.outbox.step])] * _MAIL_LOOPS
    loops.append((_UPKEEP, list(_upkeep_steps(parts))))
    stopping = Event()
    threads = []
    for name, steps in loops:
        report = partial(_report, parts, name, stopping)
        arguments = (steps, parts.wake, stopping.is_set, _IDLE_S, report)
        threads.append(Thread(target=run_worker_loop, args=arguments, name=name, daemon=True))
        threads[-1].start()
    try:
        yield
    finally:
        stopping.set()
        until = time.monotonic() + _STOP_WITHIN_S
        for thread in threads:
            while thread.is_alive() and time.monotonic() < until:
                # Set the event again: a loop clears it before it looks at ``stopping``.
                parts.wake.set()
                thread.join(0.05)


def _report(parts: assembly.Parts, loop: str, stopping: Event, error: Exception) -> None:
    """Log an error of a step. If the store does not answer, pause; one loop logs it for all."""
    if type(error) is not StoreUnavailable:  # its subclasses are about one record
        application_log.log_unexpected(error, "work")
        return
    if loop == _UPKEEP:
        for event in readiness.describe_faults(EventKind.WORKER_WAITS, error):
            parts.tell(event)
    stopping.wait(_STORE_PAUSE_S)


def _upkeep_steps(parts: assembly.Parts) -> Iterator[Step]:
    yield FleetReport(parts, "work").step
    yield lambda: parts.metadata.fetch(assembly.now())
    yield parts.setup_checker.step
    yield StoreSweep(parts.store, assembly.now).step
    yield parts.metrics.count_dropped
    if (messages := parts.messages) is not None:
        yield lambda: messages.step(assembly.now())  # deletes old messages
