"""Limits on tries: each takes a place before it is made, by one atomic count over all workers."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention.table import LIMIT

_REFUSED_FOR: Final = timedelta(seconds=10)
# Each place is a counter of its own; beyond these the writes would cost more than the exactness is
# worth.
_MOST_EXACT: Final = 10


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` tries ``within`` a time.

    Up to ten it holds for every span of that length; above, for each span that begins at a whole
    multiple of it.
    """

    name: str
    most: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class CountedTry:
    """One try that is counted.

    ``window`` is the end of a counter that it shares with others, None for one of its own.
    """

    key: Key
    window: datetime | None = None


@dataclass(slots=True)
class RefusedNames:
    """The names that a worker has refused just now, by their pseudonyms: refused again from memory.

    So whoever goes on costs the store nothing, and waits ten seconds longer than they must at most.
    Beyond ``most`` names the oldest are forgotten, and the store is asked.
    """

    most: int = 10_000
    until: OrderedDict[str, datetime] = field(default_factory=OrderedDict)

    def holds(self, name: str, now: datetime) -> bool:
        """Return whether a name was refused within the last ten seconds."""
        return now < self.until.get(name, now)

    def add(self, name: str, now: datetime) -> None:
        """Keep that a name is refused."""
        self.until[name] = now + _REFUSED_FOR
        self.until.move_to_end(name)
        if len(self.until) > self.most:
            self.until.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits over a store; the person or network that they are for is kept as a pseudonym.

    ``refused`` is there where strangers are limited: what is beyond their limit asks no store.
    """

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]
    refused: RefusedNames | None = None

    def take(self, *wanted: tuple[Limit, str]) -> tuple[CountedTry, ...]:
        """Take a place in each limit for the name beside it.

        TooMany, and none taken, where one is full.
        """
        taken: list[CountedTry] = []
        for limit, name in wanted:
            place = self._taken(limit, name)
            if place is None:
                self.give_back(taken)
                raise TooMany(limit.name)
            taken.append(place)
        return tuple(taken)

    def give_back(self, places: Sequence[CountedTry]) -> None:
        """Let tries count no longer, within a moment of taking them."""
        for place in places:
            if place.window is None:
                self.store.drop(place.key)
            else:
                self.store.count(place.key, -1, place.window, self.now())

    def forget(self, limit: Limit, name: str) -> None:
        """Let every try in an exact limit (of ten at most) count no longer."""
        group = self._group(limit, name)
        for number in range(limit.most):
            self.store.drop(Key("counter", group, str(number)))

    def counters(self, limit: Limit, name: str) -> tuple[Key, ...]:
        """Return the keys under which tries of ``name`` may be counted now."""
        group = self._group(limit, name)
        if limit.most <= _MOST_EXACT:
            return tuple(Key("counter", group, str(number)) for number in range(limit.most))
        window = int(self.now().timestamp() // limit.within.total_seconds())
        return (Key("counter", group, str(window)), Key("counter", group, str(window - 1)))

    def _group(self, limit: Limit, name: str) -> str:
        return self.hmacs.of("limit", limit.name, name)

    def is_refused(self, limit: Limit, name: str) -> bool:
        """Return whether this worker refused the name just now; no store is asked."""
        if self.refused is None:
            return False
        return self.refused.holds(self._group(limit, name), self.now())

    def _taken(self, limit: Limit, name: str) -> CountedTry | None:
        if self.is_refused(limit, name):
            return None
        group = self._group(limit, name)
        if limit.most <= _MOST_EXACT:
            place = self._taken_place(limit, group)
        else:
            place = self._taken_in_window(limit, group)
        if place is None and self.refused is not None:
            self.refused.add(group, self.now())
        return place

    def _taken_place(self, limit: Limit, group: str) -> CountedTry | None:
        """Take one of the limit's own places; None where all are taken."""
        now = self.now()
        until = LIMIT.ends(now + limit.within)
        for number in range(limit.most):
            # The try that counts a place from nought to one has it, until it expires: no span ever
            # holds more than there are.
            key = Key("counter", group, str(number))
            if self.store.count(key, 1, until, now) == 1:
                return CountedTry(key)
        return None

    def _taken_in_window(self, limit: Limit, group: str) -> CountedTry | None:
        """Count a try in the span that now lies in; None where that has had its most."""
        now = self.now()
        seconds = limit.within.total_seconds()
        window = int(now.timestamp() // seconds)
        ends = LIMIT.ends(datetime.fromtimestamp((window + 1) * seconds, now.tzinfo))
        place = CountedTry(Key("counter", group, str(window)), ends)
        if self.store.count(place.key, 1, ends, now) <= limit.most:
            return place
        self.give_back((place,))
        return None
