"""Limits on tries for all workers together. A try is counted atomically before it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core.errors import TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention import LIMIT


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` tries within a span of the length ``within``."""

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
        """Count a try and return its counter; raises TooMany at the limit.

        The span begins with the first try. A refused try stays counted: taken back after the end of
        the span, it would allow a further try in the next one.
        """
        now = self.now()
        counter = Key("counter", self.hmacs.compute("limit", limit.name, *name))
        if self.store.count(counter, 1, LIMIT.ends(now + limit.within), now) > limit.most:
            raise TooMany(limit.name)
        return counter

    def give_back(self, counter: Key) -> None:
        """Take back a try that does not count."""
        now = self.now()
        self.store.count(counter, -1, LIMIT.ends(now), now)
