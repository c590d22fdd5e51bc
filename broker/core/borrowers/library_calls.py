"""What is heard of every call of the library system."""

from typing import Protocol


class LibraryCallObserver(Protocol):
    """Hears of every call by its kind, to count and time it."""

    def __call__(self, call: str, outcome: str, seconds: float) -> None:
        """Hear that a ``call`` ("find") ended after ``seconds``.

        ``outcome`` is "done", "refused" (by the library system) or "unavailable".
        """
        ...


def unobserved(call: str, outcome: str, seconds: float) -> None:
    """Hear of a call, and count nothing."""
