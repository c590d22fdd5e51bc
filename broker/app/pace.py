"""A pace that several threads keep together: so many turns a second, the rest wait."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


class Pace:
    """So many turns a second, with a second's worth at once after a rest.

    ``clock`` is monotonic, in seconds; ``sleep`` waits for some.
    """

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._left = self._most
        self._counted = clock()

    def wait(self) -> None:
        """Wait for a turn, and take it."""
        with self._lock:
            self._count()
            self._left -= 1.0
            owed = -self._left
        if owed > 0.0:
            self._sleep(owed / self._per_second)

    def give_back(self) -> None:
        """Give back a turn in which there was nothing to do."""
        with self._lock:
            self._left = min(self._most, self._left + 1.0)

    def _count(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._counted) * self._per_second)
        self._counted = now


def _none_is_free(_: object) -> bool:
    """Say of no step that it used up no turn."""
    return False


@dataclass(slots=True)
class PacedWork:
    """Work of several threads at one pace, ``step`` by step; a step without work uses up no turn.

    ``all_at_work`` is called where a thread has ended a step and ``usual`` threads were at work
    until then: there is more to do than they can. A step that ``is_free`` uses up no turn either.
    """

    step: Callable[[], object]
    pace: Pace
    usual: int
    all_at_work: Callable[[], object]
    is_free: Callable[[object], bool] = _none_is_free
    _at_work: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __call__(self) -> object:
        """Wait for a turn and do a step; what that returns."""
        self.pace.wait()
        self._count(1)
        try:
            done = self.step()
        finally:
            at_work = self._count(-1) + 1
        if not done or self.is_free(done):
            self.pace.give_back()
        if done and at_work >= self.usual:
            self.all_at_work()
        return done

    def _count(self, by: int) -> int:
        with self._lock:
            self._at_work += by
            return self._at_work
