"""Counts by name within the present minute or hour: a bounded table in memory, written nowhere."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

_SECONDS = 60


@dataclass(slots=True)
class MinuteCounts:
    """At most ``most`` names at a time: beyond them the one that came longest ago is forgotten.

    Whoever can come under more names than that is not held by a count of names.
    """

    most: int
    seconds: int = _SECONDS  # the length of the window
    counts: OrderedDict[str, int] = field(default_factory=OrderedDict)
    minute: int = -1

    def count(self, name: str, now: datetime) -> int:
        """Count one more of ``name``, and return how many came in this minute."""
        if not self.is_current(now):
            self.minute = self._window(now)
            self.counts.clear()
        came = self.counts.get(name, 0) + 1
        self.counts[name] = came
        self.counts.move_to_end(name)
        if len(self.counts) > self.most:
            self.counts.popitem(last=False)
        return came

    def is_current(self, now: datetime) -> bool:
        """Return whether the counts are those of the present minute."""
        return self._window(now) == self.minute

    def _window(self, now: datetime) -> int:
        return int(now.timestamp()) // self.seconds


def seconds_left(now: datetime) -> int:
    """Return the seconds until the next minute begins, at least one."""
    return _SECONDS - int(now.timestamp()) % _SECONDS
