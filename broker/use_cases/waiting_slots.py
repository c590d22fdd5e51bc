"""The waiting of requests and of background work for each other, without a word of threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from broker.core.errors import LibraryUnavailable


class WakeSignal(Protocol):
    """A ``threading.Event``: a request sets it, the loop waits for it."""

    def set(self) -> None:
        """Wake the loop that waits."""

    def clear(self) -> None:
        """Make the next ``wait`` sleep again."""

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most ``timeout`` seconds."""


class WaitingSlots(Protocol):
    """A ``threading.Semaphore``: the requests that may wait at a time, at most half the threads."""

    def acquire(self, *, blocking: bool) -> bool:
        """Reserve a slot; False where none is free."""

    def release(self) -> None:
        """Free the slot."""


@contextmanager
def waiting_slot(slots: WaitingSlots | None) -> Iterator[None]:
    """Hold a slot while the library system is asked; LibraryUnavailable at once where none is free.

    A slow library system must not hold every thread. ``slots`` None sets no bound.
    """
    if slots is None:
        yield
        return
    if not slots.acquire(blocking=False):
        raise LibraryUnavailable("no slot to wait for the library in")
    try:
        yield
    finally:
        slots.release()
