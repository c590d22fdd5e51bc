"""How requests and the loop of enrolments wait for each other, as far as the flow may know of threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from broker.core.errors import LibraryUnavailable


class WakeSignal(Protocol):
    """A ``threading.Event``: a request sets it, the loop waits for it."""

    def set(self) -> None:
        """Wake who waits."""

    def clear(self) -> None:
        """Sleep again."""

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most ``timeout`` seconds."""


class WaitingSlots(Protocol):
    """A ``threading.Semaphore``: how many requests may wait at a time (at most half the threads)."""

    def acquire(self, *, blocking: bool) -> bool:
        """Take a seat, or say that none is free."""

    def release(self) -> None:
        """Give the seat back."""


@contextmanager
def waiting_slot(seats: WaitingSlots | None) -> Iterator[None]:
    """Hold a seat while the library system is asked; LibraryUnavailable at once where none is free.

    A slow library system must not hold every thread.
    """
    if seats is not None and not seats.acquire(blocking=False):
        raise LibraryUnavailable("no seat to wait for the library in")
    try:
        yield
    finally:
        if seats is not None:
            seats.release()
