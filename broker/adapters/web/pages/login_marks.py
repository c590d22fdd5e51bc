"""The sealed mark of an earlier login that a browser keeps, and nothing of the person in it."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.lookup_hmacs import LookupHmacs

KEPT_FOR: Final = timedelta(weeks=13)
_WEEK: Final = timedelta(weeks=1)
_LABEL: Final = "login-mark"
# One of 4,096 numbers, drawn at random and kept nowhere: several browsers have the same, so that a
# mark tells none of them apart, and one that is used beyond measure spoils few others.
_NUMBERS: Final = 4096
_MARK: Final = re.compile(r"([0-9]{4,5}-[0-9a-f]{3})-([0-9a-f]{32})")
_MAC_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class LoginMarks:
    """The marks under the index key: last week, number and a MAC over both."""

    hmacs: LookupHmacs

    def new(self, now: datetime) -> str:
        """Return a mark that is good for thirteen weeks."""
        ends = _week(now) + KEPT_FOR // _WEEK
        facts = f"{ends}-{secrets.randbelow(_NUMBERS):03x}"
        return f"{facts}-{self._mac(facts)}"

    def read(self, value: str, now: datetime) -> str | None:
        """Return week and number of a mark of ours; None for a forged one and one that is over."""
        parts = _MARK.fullmatch(value)
        if parts is None or not secrets.compare_digest(parts[2], self._mac(parts[1])):
            return None
        ends = int(parts[1].partition("-")[0])
        return parts[1] if ends >= _week(now) else None

    def is_new(self, mark: str, now: datetime) -> bool:
        """Return whether a mark, as ``read`` returns it, was made this week."""
        return int(mark.partition("-")[0]) == _week(now) + KEPT_FOR // _WEEK

    def _mac(self, facts: str) -> str:
        _, _, digits = self.hmacs.of(_LABEL, facts).partition(".")
        return digits[:_MAC_DIGITS]


def _week(now: datetime) -> int:
    return int(now.timestamp() // _WEEK.total_seconds())
