"""A store for tests that has no batch operations: it reads and writes records one after the other."""

from collections.abc import Sequence
from datetime import datetime

from broker.core.ports import Kept, Key, Store, Write


class UnbatchedStore(Store):
    """Implements ``get_many`` and ``put_many`` by ``get`` and ``put``."""

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":
        """Get the records one by one."""
        return [self.get(key, now) for key in keys]

    def put_many(self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False) -> bool:
        """Write the first record and, if that succeeds, the others."""
        if not self.put(*first, now, durable=durable):
            return False
        for write in others:
            self.put(*write, now, durable=durable)
        return True
