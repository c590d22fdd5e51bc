"""The days on which a change happens, from those of the classes that show it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayRange:
    """The days of a change: ``after`` one day (None: from today on), ``until`` one (None: ever)."""

    after: date | None = None
    until: date | None = None

    def in_words(self) -> str:
        """Return ``after 2027-12-31``, ``until`` a day, or both; nothing where it is every day."""
        words = []
        if self.after:
            words.append(f"after {self.after}")
        if self.until:
            words.append(f"until {self.until}")
        return ", ".join(words)


EVERY_DAY: Final = DayRange()


def days_of_row(found: Collection[date], compared: Sequence[date]) -> DayRange:
    """Return the days from the first to the last of those ``found`` among all ``compared``.

    A day that is compared stands for those up to the next one, the last for all that come.
    """
    first = min(found)
    last = max(found)
    after = None
    if first > compared[0]:
        after = first - _ONE_DAY
    until = None
    later = [day for day in compared if day > last]
    if later:
        until = later[0] - _ONE_DAY
    return DayRange(after, until)
