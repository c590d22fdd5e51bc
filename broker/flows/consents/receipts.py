"""The receipts of consents and notices as the store keeps them: append-only, pseudonymous, for two years."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.consent.consent import Receipt, in_force
from broker.core.ports import Kept, Key, Store
from broker.core.serialization import dump, load

KEPT_FOR: Final = timedelta(days=2 * 365)


@dataclass(frozen=True, slots=True)
class Receipts:
    """The receipts in a store, grouped by the pseudonym of person and service."""

    store: Store

    def file(self, group: str, made: Receipt, now: datetime) -> None:
        """Keep a receipt, durably."""
        kept = Kept(dump(made), secrets.token_hex(8), now + KEPT_FOR)
        self.store.put(Key("receipt", group, made.record_id), kept, None, now, durable=True)

    def take_back(self, group: str, made: Receipt) -> None:
        """Remove a receipt that was filed for an answer which came too late to count."""
        self.store.drop(Key("receipt", group, made.record_id))

    def history(self, group: str, now: datetime) -> tuple[Receipt, ...]:
        """Give every answer on file, newest first."""
        found = (load(Receipt, kept.value) for _, kept in self.store.list("receipt", group, now))
        return tuple(sorted(found, key=lambda each: each.event_time, reverse=True))

    def latest(self, group: str, now: datetime) -> Receipt | None:
        """Give the last answer on file, or None: no other is ever asked for."""
        return in_force(
            (load(Receipt, kept.value) for _, kept in self.store.list("receipt", group, now)), None
        )
