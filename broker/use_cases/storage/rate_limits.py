"""Limits on tries: each takes a place before it is made, by one atomic count over all workers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core.errors import TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention import LIMIT


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` tries in every span of the length ``within``."""

    name: str
    most: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits over a store; the person that they are for is kept as a keyed hash."""

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def take(self, limit: Limit, name: str) -> Key:
        """Take a place in a limit and return it; TooMany where all are taken.

        The try that counts a place from nought to one has it until it expires, so that no span
        ever holds more than there are.
        """
        now = self.now()
        group = self.hmacs.compute("limit", limit.name, name)
        for number in range(limit.most):
            key = Key("counter", group, str(number))
            if self.store.count(key, 1, LIMIT.ends(now + limit.within), now) == 1:
                return key
        raise TooMany(limit.name)

    def give_back(self, place: Key) -> None:
        """Let a try count no longer."""
        self.store.drop(place)
