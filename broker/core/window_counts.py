"""Counts by name within the current minute, or another window, in a bounded table in memory."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

_SECONDS = 60


@dataclass(slots=True)
class WindowCounts:
    """Counts of at most ``most`` names. A further name replaces the least recently counted one.

    A client that uses more names than ``most`` is therefore not limited by a count per name.
    """

    most: int
    seconds: int = _SECONDS  # the length of the window
    counts: OrderedDict[str, int] = field(default_factory=OrderedDict)
    window: int = -1

    def count(self, name: str, now: datetime) -> int:
        """Count ``name`` once more, and return its count in this window."""
        window = int(now.timestamp()) // self.seconds
        if window != self.window:
            self.window = window
            self.counts.clear()
        came = self.counts.get(name, 0) + 1
        self.counts[name] = came
        self.counts.move_to_end(name)
        if len(self.counts) > self.most:
            self.counts.popitem(last=False)
        return came


def seconds_left(now: datetime) -> int:
    """Return the seconds until the next minute begins, at least one."""
    return _SECONDS - int(now.timestamp()) % _SECONDS
