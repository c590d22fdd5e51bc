"""Rate limits that all workers share. An attempt is counted atomically before it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core.errors import TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention import LIMIT


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` attempts within a period of the length ``within``."""

    name: str
    most: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in the store. The name that is limited is stored as a keyed hash."""

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def take(self, limit: Limit, *name: str) -> Key:
        """Count an attempt and return its counter. Raises TooMany at the limit.

        The period begins with the first attempt. A refused attempt stays counted. If it were taken
        back after the end of the period, it would allow one more attempt in the next period.
        """
        now = self.now()
        counter = Key("counter", self.hmacs.compute("limit", limit.name, *name))
        if self.store.count(counter, 1, LIMIT.ends(now + limit.within), now) > limit.most:
            raise TooMany(limit.name)
        return counter

    def give_back(self, counter: Key) -> None:
        """Take back an attempt that does not count."""
        now = self.now()
        self.store.count(counter, -1, LIMIT.ends(now), now)
