"""The sweep of what has expired from the store: by one machine at a time, every few seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.ports import Key, Store
from broker.core.retention.table import TURN

_EVERY: Final = timedelta(seconds=10)
_MOST_BATCHES: Final = 50  # the store lets others write between two
_TURN: Final = Key("counter", "store sweep")


@dataclass(slots=True)
class StoreSweep:
    """The sweeping of one ``broker work``.

    Writes remove a little by themselves, so that a store without it does not grow for ever.
    """

    store: Store
    now: Callable[[], datetime]
    _next: datetime | None = None

    def step(self) -> None:
        """Sweep if it is time and no other does; StoreUnavailable."""
        now = self.now()
        if self._next is not None and now < self._next:
            return
        self._next = now + _EVERY
        # A lease without a holder's token: it ends by itself, and two sweeps at once do no harm.
        if self.store.count(_TURN, 1, TURN.ends(now + _EVERY), now) > 1:
            return
        for _ in range(_MOST_BATCHES):
            if not self.store.sweep(now):
                return
