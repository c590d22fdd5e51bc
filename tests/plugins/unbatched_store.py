"""A store of the tests that has no turn for several records: it reads and puts them one after the other."""

from collections.abc import Sequence
from datetime import datetime

from broker.core.ports import Kept, Key, Store, Write


class UnbatchedStore(Store):
    """What ``get_many`` and ``put_many`` promise, by ``get`` and ``put``."""

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":
        """Get each."""
        return [self.get(key, now) for key in keys]

    def put_many(self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False) -> bool:
        """Put the first and, if it stands, the others."""
        if not self.put(*first, now, durable=durable):
            return False
        for write in others:
            self.put(*write, now, durable=durable)
        return True
