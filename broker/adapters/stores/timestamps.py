"""Times as the stores write them: whole microseconds since 1970, which sort as numbers."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(when: datetime) -> int:
    """Return the microseconds since 1970 of an aware time; a naive one is a TypeError."""
    return (when - _EPOCH) // _MICROSECOND


def moment(count: int) -> datetime:
    """Return the UTC time that ``micros`` counted."""
    return _EPOCH + timedelta(microseconds=count)
