"""The pause before a failed attempt is repeated."""

import secrets
from datetime import timedelta
from typing import Final

_LONGEST_PAUSE: Final = 3600.0


def retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after the failure number ``attempts`` + 1.

    5 s, then three times as long each time, at most 1 h; give or take half of it. The jitter keeps
    a thousand enrolments from meeting a recovered library system in the same second.
    """
    seconds = min(_LONGEST_PAUSE, 5.0 * 3.0 ** min(attempts, 10))
    thousandths = 500 + secrets.randbelow(1001)
    return timedelta(seconds=seconds * thousandths / 1000)
