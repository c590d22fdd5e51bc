"""A row of the table of what is kept: what it is, for how long, from when and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Retention:
    """One row of the table.

    ``kind`` is a ``RecordKind``, ``holds`` what such a record has in it, ``keyed`` what its name is
    made of (values are sealed, whatever the name is), ``lasts`` how long at most it is kept,
    ``since`` from when, ``why`` what for. Where ``lasts`` is None, ``long`` says what else ends it.
    """

    kind: str
    holds: str
    keyed: str
    lasts: timedelta | None
    since: str
    why: str
    long: str = ""

    @property
    def span(self) -> timedelta:
        """Return how long at most it is kept; ValueError where something else ends it."""
        if self.lasts is None:
            raise ValueError(f"how long a {self.kind} of this row is kept: {self.long}")
        return self.lasts

    def until(self, since: datetime) -> datetime:
        """Return the end of a record that begins at ``since``; ValueError where it has its own."""
        return since + self.span

    def ends(self, end: datetime) -> datetime:
        """Return ``end``, as something else than this table has set it; ``long`` says what."""
        if not self.long:
            raise ValueError(f"a {self.kind} of this row ends by the table alone")
        return end

    @property
    def for_long(self) -> str:
        """Return how long it is kept, in words."""
        return self.long or spelled(self.lasts or timedelta())


_UNITS: Final = (
    ("year", timedelta(days=365)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def spelled(span: timedelta) -> str:
    """Return a span in the largest unit that it is a whole number of: ``30 days``."""
    for unit, length in _UNITS:
        count, rest = divmod(span, length)
        if count and not rest:
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{span.total_seconds():.0f} seconds"
