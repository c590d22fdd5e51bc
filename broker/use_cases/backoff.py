"""The pause before a failed attempt is repeated."""

import secrets
from datetime import timedelta
from typing import Final

from broker.core.errors import BrokerError, MailPutOff

_LONGEST_PAUSE: Final = 7200.0
_LONG_AFTER: Final = 4  # failures


def retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after the failure number ``attempts`` + 1.

    5 s, then three times as long each time, at most 2 h; give or take half of it. The jitter keeps
    a thousand enrolments from meeting a recovered library system in the same second.
    """
    seconds = min(_LONGEST_PAUSE, 5.0 * 3.0 ** min(attempts, 10))
    thousandths = 500 + secrets.randbelow(1001)
    return timedelta(seconds=seconds * thousandths / 1000)


def delay_after(error: BrokerError, attempts: int) -> timedelta:
    """Return how long to wait after ``error``: three minutes at least where a mail was put off.

    It is mailed before that, once the mail server answers; the pause holds where nobody remembers
    it. The queue of wishes is no place for hundreds to wait in.
    """
    if isinstance(error, MailPutOff):
        return retry_delay(max(attempts, _LONG_AFTER))
    return retry_delay(attempts)
