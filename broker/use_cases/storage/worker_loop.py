"""The loop of the background worker, the delay after a failure, and the sweep of the store."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from broker.core.ports import Key, Store
from broker.core.retention import TURN

_LONGEST_PAUSE: Final = 2400.0


def retry_delay(attempts: int) -> timedelta:
    """Return the delay after failure number ``attempts`` + 1.

    5 s, then three times as long each time, at most 40 minutes, plus or minus half of it. The
    jitter keeps a thousand enrolments from calling a recovered library system in the same second.
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
    """Run the steps until ``stop``; sleep ``idle`` seconds, or until woken, if nothing is due.

    A step does one task that is due and returns a true value, or returns a false one if nothing is
    due. After a task, all loops that share ``wake`` run again, because more may be due. ``report``
    gets every unexpected error. The interrupted task is due again when its lease ends.
    """
    while not stop():
        wake.clear()
        done = [_try_step(step, report) for step in steps]
        if any(done):
            wake.set()
        else:
            wake.wait(idle)


def _try_step(step: Callable[[], object], report: Callable[[Exception], None]) -> bool:
    try:
        return bool(step())
    except Exception as error:  # noqa: BLE001 - one broken record must not end the loop for all others
        report(error)
        return False


_SWEEP_INTERVAL: Final = timedelta(seconds=10)
_MOST_BATCHES: Final = 50  # between two batches the store accepts other writes
_SWEEP_LOCK: Final = Key("counter", "store sweep")


@dataclass(slots=True)
class StoreSweep:
    """Removes expired records from the store, for one ``broker work``.

    Writes remove a few expired records too. So the store stays small even without ``broker work``.
    """

    store: Store
    now: Callable[[], datetime]
    _next: datetime | None = None

    def step(self) -> None:
        """Sweep if ten seconds have passed and no other worker sweeps; raises StoreUnavailable."""
        now = self.now()
        if self._next is not None and now < self._next:
            return
        self._next = now + _SWEEP_INTERVAL
        # A counter is enough as a lock: it expires, and two sweeps at once do no harm.
        if self.store.count(_SWEEP_LOCK, 1, TURN.ends(now + _SWEEP_INTERVAL), now) > 1:
            return
        for _ in range(_MOST_BATCHES):
            if not self.store.sweep(now):
                return
