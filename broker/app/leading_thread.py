"""Which of several threads leads: another takes over where the work of one takes long."""

import time
from queue import SimpleQueue
from threading import Lock
from typing import Final

_NOTHING: Final = 0


class LeadingThread:
    """The lead, which a thread keeps whose work is quick.

    Quick work is so done where it was found. To hand each piece of it to another thread costs two
    wake-ups, and the caches of the processor begin anew.

    Source: Leader/Followers, in Schmidt and others, Pattern-Oriented Software Architecture 2.
    """

    def __init__(self, quick: float) -> None:
        """Take the seconds after which work is quick no more; nobody leads yet."""
        self._quick = quick
        self._changing = Lock()
        self._following = Lock()  # one thread watches the leading one, the others wait behind it
        self._vacant = True
        self._asleep = False
        self._begun: SimpleQueue[None] = SimpleQueue()
        self._number = 0
        self._under_way = _NOTHING
        self._until = 0.0

    def follow(self) -> None:
        """Wait until the lead is to be taken over, and take it."""
        with self._following:
            while not self._taken():
                self._wait()

    def begin(self) -> int:
        """Note that the leading thread begins a piece of work; return its number, for ``keeps``."""
        self._number += 1
        self._until = time.monotonic() + self._quick  # first: what is under way has a time
        self._under_way = self._number
        if self._asleep:
            self._asleep = False
            self._begun.put(None)
        return self._number

    def keeps(self, number: int) -> bool:
        """Note that a piece of work has ended; False where another thread has the lead now."""
        with self._changing:
            if self._under_way != number:
                return False
            self._under_way = _NOTHING
            return True

    def _taken(self) -> bool:
        with self._changing:
            if self._under_way and time.monotonic() >= self._until:
                self._under_way = _NOTHING
                return True
            vacant, self._vacant = self._vacant, False
            return vacant

    def _wait(self) -> None:
        """Wait for the end of the time of what is under way; sleep where nothing is."""
        self._asleep = True  # before the look: what begins after it wakes
        if not self._under_way:
            self._begun.get()
        self._asleep = False
        time.sleep(max(0.0, self._until - time.monotonic()))
