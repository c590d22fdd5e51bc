"""The limit on references that lead nowhere: whoever is logged in guesses no stranger's page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.use_cases.rate_limits import Limit, Limits

# A clerk mishears one or two; of the references that there may be, one in a hundred thousand leads
# anywhere (eight characters of 27, and 3,600 an hour at most for thirty days).
UNKNOWN: Final = Limit("staff-unknown-references", 10, timedelta(minutes=10))


@dataclass(frozen=True, slots=True)
class ReferenceGuesses:
    """The references that somebody of the staff types, counted before they are looked up."""

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def take(self, who: str) -> Key:
        """Count one; TooMany after ten in ten minutes that led nowhere."""
        return self._limits.take(UNKNOWN, who)

    def led_somewhere(self, taken: Key) -> None:
        """Count it no longer: it was no guess."""
        self._limits.give_back(taken)

    @property
    def _limits(self) -> Limits:
        return Limits(self.store, self.hmacs, self.now)
