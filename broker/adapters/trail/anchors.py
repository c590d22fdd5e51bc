"""How far the trail had come, kept now and then in the store, where whoever cuts its files may not reach."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.adapters.trail.lines import TrailHead
from broker.core.errors import BrokerError
from broker.core.ports import Kept, Key, Store

KIND: Final = "audit-anchor"
_EVERY: Final = 64
# where the first append ends: whoever empties the folder begins a chain that the store contradicts
_FIRST: Final = 2
_KEPT_FOR: Final = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Anchors:
    """The links of some lines, each written once; ``machine`` names whose trail it is where several share a store."""

    store: Store
    machine: str

    def keep(self, head: TrailHead, now: datetime) -> str | None:
        """Remember the line that ``head`` names, if it is one of those, and say what is wrong.

        Nothing is written over: a chain that was cut and has gone on contradicts what is
        remembered, for ever.
        """
        if head.number % _EVERY != _FIRST:
            return None
        kept = Kept(head.link.encode(), secrets.token_hex(8), now + _KEPT_FOR)
        try:
            taken = self.store.put(self._key(head.number), kept, None, now)
        except BrokerError as error:
            return str(error)
        return (
            None
            if taken
            else f"line {head.number} was another before: the trail was cut, or put back"
        )

    def links(self, now: datetime) -> Mapping[int, str]:
        """Give the links that are remembered, by their lines' numbers."""
        return {
            int(key.name): kept.value.decode()
            for key, kept in self.store.list(KIND, self.machine, now)
        }

    def forget(self, beyond: int, now: datetime) -> None:
        """Drop what is remembered of lines that are gone, once staff have seen that they are."""
        for number in self.links(now):
            if number > beyond:
                self.store.drop(self._key(number))

    def _key(self, number: int) -> Key:
        return Key(KIND, self.machine, str(number))
