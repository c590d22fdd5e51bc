"""How long what failed rests before it is tried again."""

import secrets
from datetime import timedelta
from typing import Final

_LONGEST_PAUSE: Final = 7200.0


def retry_delay(attempts: int) -> timedelta:
    """Give how long to wait after the failure number ``attempts`` + 1: 5 s, three times more each, at most 2 h, ± half.

    The jitter keeps a thousand enrolments from meeting a recovered library system in the same
    second.
    """
    seconds = min(_LONGEST_PAUSE, 5.0 * 3.0 ** min(attempts, 10))
    return timedelta(seconds=seconds * (500 + secrets.randbelow(1001)) / 1000)
