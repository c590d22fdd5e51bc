"""Faults that a test or a person switches on in the simulated Koha, and its access log."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass
class InjectedFaults:
    """Switches, set from Python or by ``POST /__faults``; counts go down by one with every strike.

    ``down`` answers 503 to every call; ``slow`` waits so many seconds before it; ``fail`` answers
    500 before the work; ``lose_answer`` does the work and answers 502. ``race_window`` is the time
    in seconds between Koha's look at the unique attribute and its insert; every
    ``deadlock_every``-th of the creates that meet in it is a 500.
    """

    down: bool = False
    slow: float = 0.0
    fail: int = 0
    lose_answer: int = 0
    race_window: float = 0.0
    deadlock_every: int = 4
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def strikes(self, count: str) -> bool:
        """Return whether the fault of this count strikes now, and count it."""
        with self._lock:
            present: int = getattr(self, count)
            if present > 0:
                setattr(self, count, present - 1)
            return present > 0

    def set(self, wanted: Mapping[str, object]) -> None:
        """Set the switches named; ``ValueError`` where one is unknown or of another type."""
        for name, value in wanted.items():
            if type(value) not in _TYPES.get(name, ()):
                raise ValueError(name)
        for name, value in wanted.items():
            setattr(self, name, value)


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "down": (bool,),
    "slow": (int, float),
    "fail": (int,),
    "lose_answer": (int,),
    "race_window": (int, float),
    "deadlock_every": (int,),
}


class AccessLog:
    """The request lines of a web server in front of Koha, decoded: no CPR may stand in one."""

    def __init__(self, most: int = 10_000) -> None:
        self._lines: deque[str] = deque(maxlen=most)

    def add(self, line: str) -> None:
        """Add one line."""
        self._lines.append(line)

    def lines(self) -> list[str]:
        """Return the lines, oldest first."""
        return list(self._lines)
