"""How many calls an institution has: so many a second, and so many until midnight."""

import threading
import time
from collections.abc import Callable
from typing import Final

from tests.conformance.simulated_alma.administration import Administration
from tests.conformance.simulated_alma.refusals import Refused

_DAY: Final = 86_400


class CallLimits:
    """Counts the calls of all keys, as Alma does; a refused call is none of the day's."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._second = self._day = -1
        self._in_second = self._in_day = 0

    def count(self, administration: Administration) -> None:
        """Count a call; 429 where the second or the day has no more.

        Source: docs/alma.md#limits.
        """
        with self._lock:
            self._turn()
            if self._in_day >= administration.per_day:
                text = "Daily API Request Threshold has been exceeded."
                raise Refused("DAILY_THRESHOLD", text, 429)
            self._in_second += 1
            if self._in_second > administration.per_second:
                text = "HTTP requests are more than allowed per second"
                raise Refused("PER_SECOND_THRESHOLD", text, 429)
            self._in_day += 1

    def remaining(self, administration: Administration) -> int:
        """Return how many calls are left until midnight."""
        with self._lock:
            self._turn()
            return max(0, administration.per_day - self._in_day)

    def spend(self, calls: int) -> None:
        """Count calls that another program of the institution has made today."""
        with self._lock:
            self._turn()
            self._in_day += calls

    def _turn(self) -> None:
        now = int(self._clock())
        if now != self._second:
            self._second, self._in_second = now, 0
        if now // _DAY != self._day:
            self._day, self._in_day = now // _DAY, 0
