"""Puts changed policies and metadata in force, beside the requests of a web worker."""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from broker.adapters.telling import loaded_policies
from broker.app.assembly import Parts, now
from broker.files.uncollected import uncollected

# Seconds after which a thread that only computes lets another go on. A request lets go of the
# interpreter some twenty times (store, signatures, trail) and waits so long each time to go on:
# Python's own 5 ms would make it a tenth of a second later while policies are loaded.
_LETS_GO: Final = 0.0002
# A load works for so many seconds and sleeps for as many: it has time, and a request that found it
# at work every time it wanted to go on would take several times as long.
_SHARE: Final = 0.002


def refresh(parts: Parts) -> None:
    """Put changed policies and metadata in force; called by one thread at a time.

    Nothing is fetched: ``broker work`` does that, and its copies are read here.
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
