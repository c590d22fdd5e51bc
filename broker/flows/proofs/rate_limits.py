"""How often something may be tried: places that are taken before the try, by one atomic count each, in every worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import TooMany
from broker.core.ports import Key, Store
from broker.core.pseudonyms import Pseudonyms

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
    """One try that is counted; ``window`` is the end of a counter shared with others, None for one of its own."""

    key: Key
    window: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits over a store; whoever they are for is kept as a pseudonym."""

    store: Store
    pseudonyms: Pseudonyms
    now: Callable[[], datetime]

    def take(self, *wanted: tuple[Limit, str]) -> tuple[CountedTry, ...]:
        """Take a place in each limit for whoever stands beside it; TooMany, and none taken, where one is full."""
        taken: list[CountedTry] = []
        for limit, who in wanted:
            place = self._taken(limit, who)
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

    def _taken(self, limit: Limit, who: str) -> CountedTry | None:
        group, now = self.pseudonyms.of("limit", limit.name, who), self.now()
        if limit.most <= _MOST_EXACT:
            # Who counts a place from nought to one has it, until it expires: no span ever holds
            # more than there are.
            keys = (Key("counter", group, str(number)) for number in range(limit.most))
            until = now + limit.within
            return next(
                (CountedTry(key) for key in keys if self.store.count(key, 1, until, now) == 1), None
            )
        window = int(now.timestamp() // limit.within.total_seconds())
        ends = datetime.fromtimestamp((window + 1) * limit.within.total_seconds(), now.tzinfo)
        place = CountedTry(Key("counter", group, str(window)), ends)
        if self.store.count(place.key, 1, ends, now) <= limit.most:
            return place
        self.give_back((place,))
        return None
