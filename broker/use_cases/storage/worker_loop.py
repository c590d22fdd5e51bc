"""The background worker: its loop, the pause after a failure, and the sweep of the store."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from broker.core.ports import Key, Store
from broker.core.retention import TURN

_LONGEST_PAUSE: Final = 2400.0


def retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after the failure number ``attempts`` + 1.

    5 s, then three times as long each time, at most 40 minutes; give or take half of it. The jitter
    keeps a thousand enrolments from meeting a recovered library system in the same second.
    """
    seconds = min(_LONGEST_PAUSE, 5.0 * 3.0 ** min(attempts, 10))
    thousandths = 500 + secrets.randbelow(1001)
    return timedelta(seconds=seconds * thousandths / 1000)


class WakeSignal(Protocol):
    """A ``threading.Event``: a request sets it, the loop waits for it."""

    def set(self) -> None:
        """Wake the loop that waits."""

    def clear(self) -> None:
        """Make the next ``wait`` sleep again."""

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most ``timeout`` seconds."""


def run_worker_loop(
    steps: Sequence[Callable[[], object]],
    wake: WakeSignal,
    stop: Callable[[], bool],
    idle: float,
    report: Callable[[Exception], None],
) -> None:
    """Do what is due until ``stop``; sleep ``idle`` seconds, or until woken, when all is idle.

    A step does one thing that is due and returns something true, or returns nothing. Where one did,
    the loops that share ``wake`` look too: more may be due. ``report`` is called with an error that
    nobody planned for; what was under way is due again when its lease ends.
    """
    while not stop():
        wake.clear()
        done = [_tried(step, report) for step in steps]
        if any(done):
            wake.set()
        else:
            wake.wait(idle)


def _tried(step: Callable[[], object], report: Callable[[Exception], None]) -> bool:
    try:
        return bool(step())
    except Exception as error:  # noqa: BLE001 - one broken record must not end the loop for all others
        report(error)
        return False


_EVERY: Final = timedelta(seconds=10)
_MOST_BATCHES: Final = 50  # the store lets others write between two
_TURN: Final = Key("counter", "store sweep")


@dataclass(slots=True)
class StoreSweep:
    """The sweeping of one ``broker work``.

    Writes remove a little by themselves, so that a store without it does not grow for ever.
    """

    store: Store
    now: Callable[[], datetime]
    _next: datetime | None = None

    def step(self) -> None:
        """Sweep if it is time and no other does; StoreUnavailable."""
        now = self.now()
        if self._next is not None and now < self._next:
            return
        self._next = now + _EVERY
        # A lease without a holder's token: it ends by itself, and two sweeps at once do no harm.
        if self.store.count(_TURN, 1, TURN.ends(now + _EVERY), now) > 1:
            return
        for _ in range(_MOST_BATCHES):
            if not self.store.sweep(now):
                return
