"""How many calls one process sends to Alma: a second, and no more once the day's are used up."""

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Final

from broker.adapters.library_systems.alma_refusals import QUOTA
from broker.core.errors import CallNotMade

_REMAINING: Final = "X-Exl-Api-Remaining"
_ALARM_BELOW: Final = 0.2  # of the day's calls
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 8.0
# Asked again after so long, the calls of the day may have been raised or counted anew.
_USED_UP_S: Final = 300.0


class CallBudget:
    """The calls of one process, in all its threads.

    ``a_second`` of them go out at once, and as many in each second after; ``daily`` is what the
    whole institution may send in a day.
    """

    def __init__(self, a_second: float, daily: int) -> None:
        self._gap = 1 / a_second
        self._ahead = max(0.0, 1 - self._gap)
        self._daily = daily
        self._lock = threading.Lock()
        self._next = 0.0
        self._used_up_until = 0.0
        self._left: int | None = None

    def admit(self, until: float, calls: int = 1) -> None:
        """Wait until the next call may go out, or several without a pause between them.

        CallNotMade where that is not before ``until``, a moment of ``time.monotonic``, or
        the calls of the day are used up: nothing is sent then.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._used_up_until:
                raise CallNotMade("the calls of the day are used up", QUOTA)
            slot = max(self._next, now)
            last = slot + self._gap * (calls - 1)
            wait = max(0.0, last - self._ahead - now)
            if now + wait >= until:
                raise CallNotMade("library.calls_a_second are used up")
            self._next = last + self._gap
        time.sleep(wait)

    def back_off(self, attempt: int, until: float) -> None:
        """Wait after a refusal for the calls of a second, longer each time and never alike.

        CallNotMade where ``until`` comes before that.
        """
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
        pause = longest * (1 + secrets.randbelow(1000) / 1000) / 2
        if time.monotonic() + pause >= until:
            raise CallNotMade("Alma takes no more calls this second")
        time.sleep(pause)

    def heard(self, headers: Mapping[str, str]) -> None:
        """Note how many calls of the day are left, as every answer of Alma's says."""
        left = headers.get(_REMAINING, "")
        if left.isascii() and left.isdigit():
            self._left = int(left)

    def used_up(self) -> None:
        """Send nothing for a while: a refused call helps nobody."""
        self._used_up_until = time.monotonic() + _USED_UP_S

    @property
    def left(self) -> int | None:
        """The calls of the day that are left; None before the first answer."""
        return self._left

    @property
    def is_low(self) -> bool:
        """Whether four fifths of the day's calls are used."""
        return self._left is not None and self._left < self._daily * _ALARM_BELOW
