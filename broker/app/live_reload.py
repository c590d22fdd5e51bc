"""The one thread of a web worker: it looks for changed policies and metadata, and swaps them."""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from broker.adapters.telling import application_log, loaded_policies
from broker.app.assembly import Parts, now
from broker.files.uncollected import uncollected
from broker.use_cases.worker_loop import run_worker_loop

_EVERY: Final = 1.0
# Seconds after which a thread that only computes lets another go on. A request lets go of the
# interpreter some twenty times (store, signatures, trail) and waits so long each time to go on:
# Python's own 5 ms would make it a tenth of a second later while policies are loaded.
_LETS_GO: Final = 0.0002
# A load works for so many seconds and sleeps for as many: it has time, and a request that found it
# at work every time it wanted to go on would take several times as long.
_SHARE: Final = 0.002


class LiveReload:
    """Policies and metadata of one web worker, looked at once a second beside its requests."""

    def __init__(self, parts: Parts) -> None:
        """Take the parts; the thread is started by ``start``."""
        self._parts = parts
        self._wake = Event()
        self._ending = Event()

    def start(self) -> Thread:
        """Look once, and start the thread: in the worker, since no thread survives a fork.

        To be called before the worker serves: what came into force while it was made decides from
        its first request on.
        """
        gc.collect()
        gc.freeze()
        try:
            refresh(self._parts)
        except Exception as error:  # noqa: BLE001 - the thread looks again in a second
            _report(error)
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
    policies = parts.policies.current
    snapshot = parts.metadata.snapshot
    with _letting_requests_go_on():
        loaded = parts.policies.refresh(moment, _Sharing())
        loaded_policies.note(loaded.digest)
        parts.metadata.look(moment)
        parts.log_budget.step()
        if parts.policies.current is policies and parts.metadata.snapshot is snapshot:
            return
        # What is in force now lasts: no later collection looks through it, with every request
        # waiting. What is no more in force goes by its count of references all the same.
        gc.freeze()
        if parts.policies.current is not policies:
            old = list(policies.policies)
            del policies
            while old:  # one at a time: a thousand at once would hold up every request
                old.pop()


class _Sharing:
    """Sleeps whenever a load has worked for its share of time."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._began >= _SHARE:
            time.sleep(_SHARE)
            self._began = time.monotonic()


@contextmanager
def _letting_requests_go_on() -> Iterator[None]:
    """Let requests have the interpreter soon, and no collection of what is loaded hold them up.

    One would hold the interpreter for 0.1 s and more while a thousand policies are loaded.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _LETS_GO))
    try:
        with uncollected():
            yield
    finally:
        sys.setswitchinterval(interval)


def _report(error: Exception) -> None:
    application_log.unexpected(error, "reload")
