"""What goes wrong with the simulated Koha when a test or a person at the demo says so, and its access log."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass
class InjectedFaults:
    """Switches, set from Python or by ``POST /__faults``; the counts go down by one each time they strike.

    ``down`` answers 503 to every call; ``slow`` waits so many seconds before each; ``fail`` answers
    500 before the work; ``lose_answer`` does the work and answers 502. ``race_window`` is the time
    in seconds between Koha's look at the unique attribute and its insert; of those who meet in it
    every ``deadlock_every``-th gets a 500.
    """

    down: bool = False
    slow: float = 0.0
    fail: int = 0
    lose_answer: int = 0
    race_window: float = 0.0
    deadlock_every: int = 4
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def strikes(self, count: str) -> bool:
        """Say whether the fault of this count strikes now, and count it."""
        with self._lock:
            present: int = getattr(self, count)
            if present > 0:
                setattr(self, count, present - 1)
            return present > 0

    def set(self, wanted: Mapping[str, object]) -> None:
        """Set the switches named; ``ValueError`` where one is unknown or of another type."""
        kinds = {
            each.name: type(each.default)
            for each in fields(self)
            if each.init and not each.name.startswith("_")
        }
        for name, value in wanted.items():
            fits = (int, float) if kinds.get(name) is float else kinds.get(name, ())
            if not isinstance(value, fits) or (isinstance(value, bool) and kinds[name] is not bool):
                raise ValueError(name)
        for name, value in wanted.items():
            setattr(self, name, value)


class AccessLog:
    """The request lines that a web server in front of Koha would write, decoded: no CPR may stand in one."""

    def __init__(self, most: int = 10_000) -> None:
        self._lines: deque[str] = deque(maxlen=most)

    def add(self, line: str) -> None:
        """Add one line."""
        self._lines.append(line)

    def lines(self) -> list[str]:
        """Give the lines, oldest first."""
        return list(self._lines)
