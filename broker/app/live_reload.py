"""The one thread of a web worker: it looks for changed policies and metadata, and swaps them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from broker.adapters.telling import application_log
from broker.app.assembly import Parts, now
from broker.flows.worker_loop import run_worker_loop

_EVERY: Final = 1.0
# Seconds after which a thread that only computes lets another go on. A request lets go of the
# interpreter some twenty times (store, signatures, trail) and waits so long each time to go on:
# Python's own 5 ms would make it a tenth of a second later while policies are loaded.
_LETS_GO: Final = 0.0002


class LiveReload:
    """Policies and metadata of one web worker, looked at once a second beside its requests."""

    def __init__(self, parts: Parts) -> None:
        """Take the parts; the thread is started by ``start``."""
        self._parts = parts
        self._wake = Event()
        self._ending = Event()

    def start(self) -> Thread:
        """Start the thread; to be called in the worker, since no thread survives a fork."""
        steps = [lambda: refresh(self._parts)]
        arguments = (steps, self._wake, self._ending.is_set, _EVERY, _report)
        thread = Thread(target=run_worker_loop, args=arguments, name="reload", daemon=True)
        thread.start()
        return thread

    def end(self) -> None:
        """Let the thread end, without waiting for it."""
        self._ending.set()
        self._wake.set()


def refresh(parts: Parts) -> None:
    """Put changed policies and metadata in force; a host that mounts us calls it once a second.

    Nothing is fetched: that is the business of ``broker work``, whose copies are read here. It must
    not be called by a request, and by one thread at a time only.
    """
    moment = now()
    with _letting_requests_go_on():
        parts.policies.refresh(moment)
        parts.metadata.look(moment)
        parts.log_budget.step()


@contextmanager
def _letting_requests_go_on() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _LETS_GO))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _report(error: Exception) -> None:
    application_log.unexpected(error, "reload")
