"""What a long run leaves to logins of the calls that a library system takes in a second, a day."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.library_calls import QUOTA_LOW, LibraryCallObserver
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, Store
from broker.core.retention.table import TURN

_SECOND: Final = timedelta(seconds=1)
# A count is asked for in the second after its own; clocks of machines differ a little.
_COUNTED_FOR: Final = timedelta(seconds=10)


class SharedCalls:
    """Hears of every call of this process (``LibraryCallObserver``) and counts it for all others.

    ``limit`` is how many calls a second the library system is to be sent; without one nothing is
    counted. ``is_low`` is whether the calls of the day are nearly used up.
    """

    def __init__(
        self, store: Store | None, observe: LibraryCallObserver, now: Callable[[], datetime]
    ) -> None:
        self.limit: float | None = None
        self.is_low = False
        self._store = store
        self._observe = observe
        self._now = now
        self._counts = True
        self._lock = threading.Lock()
        self._second = 0
        self._turns = 0
        self._unheard = 0

    def __call__(self, call: str, outcome: str, seconds: float) -> None:
        """Hear of a call; it is counted where that is of use, and a store that is down is none."""
        self._observe(call, outcome, seconds)
        if call == QUOTA_LOW:
            self.is_low = True
        elif self.limit is None:
            return
        elif self._counts:
            with suppress(StoreUnavailable):
                self._count(1, self._now())
        else:
            self._heard_in_run()

    def give_way(self) -> None:
        """Let the calls of this process be those of a long run: they take what others leave."""
        self._counts = False

    def wait(self, pause: Callable[[float], object]) -> None:
        """Wait for a turn that the others have left, and take it; ``pause`` waits for seconds.

        What they have called in the second before is what they are likely to call in this one. A
        ``pause`` that returns something true was interrupted, and ends the wait. StoreUnavailable.
        """
        while not self._takes_turn():
            gone = self._now().microsecond / 1e6
            if pause(1 - gone):
                return

    def _takes_turn(self) -> bool:
        if self.limit is None:
            return True
        now = self._now()
        others = self._count(0, now - _SECOND)
        with self._lock:
            self._begin_second(now)
            sent = self._turns + others
            if sent >= self.limit:
                return False
            self._turns += 1
            self._unheard += 1
            return True

    def _heard_in_run(self) -> None:
        """Let a call without a turn, as of a mend, be one of this second all the same."""
        with self._lock:
            self._begin_second(self._now())
            if self._unheard:
                self._unheard -= 1
            else:
                self._turns += 1

    def _begin_second(self, now: datetime) -> None:
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._turns = second, 0

    def _count(self, by: int, at: datetime) -> int:
        if self._store is None:
            return 0
        second = int(at.timestamp())
        key = Key("counter", f"library calls {second}")
        now = self._now()
        until = TURN.ends(now + _COUNTED_FOR)
        return self._store.count(key, by, until, now)
