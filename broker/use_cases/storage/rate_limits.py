"""Limits on tries. A try takes a place first, by one atomic count for all workers."""

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

    def take(self, limit: Limit, name: str) -> Key:
        """Take a place in a limit and return it; raises TooMany if all are taken.

        The try that counts a place from 0 to 1 has it until it expires. So no span of this length
        has more tries than places.
        """
        now = self.now()
        group = self.hmacs.compute("limit", limit.name, name)
        for number in range(limit.most):
            key = Key("counter", group, str(number))
            if self.store.count(key, 1, LIMIT.ends(now + limit.within), now) == 1:
                return key
        raise TooMany(limit.name)

    def give_back(self, place: Key) -> None:
        """Free the place of a try that does not count."""
        self.store.drop(place)
