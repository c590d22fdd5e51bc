"""Times in the stores: whole microseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_microseconds(when: datetime) -> int:
    """Return the microseconds since 1970 of an aware time. Raises TypeError for a naive one."""
    return (when - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Return the UTC time of a number of microseconds."""
    return _EPOCH + timedelta(microseconds=count)
