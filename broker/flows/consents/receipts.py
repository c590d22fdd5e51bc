"""The receipts of consents and notices in the store: append-only, pseudonymous, for two years."""

from dataclasses import dataclass
from datetime import datetime

from broker.core.consent.consent import Receipt, in_force
from broker.core.ports import Key, Store
from broker.core.retention.table import RECEIPT
from broker.flows.records import Records


@dataclass(frozen=True, slots=True)
class Receipts:
    """The receipts in a store, grouped by the pseudonym of person and service."""

    store: Store

    def file(self, group: str, made: Receipt, now: datetime) -> None:
        """Store a receipt, durably."""
        key = _key(group, made)
        self._records.add(key, made, RECEIPT.until(now), now)

    def take_back(self, group: str, made: Receipt) -> None:
        """Remove a receipt that was filed for an answer which came too late to count."""
        self._records.drop(_key(group, made))

    def history(self, group: str, now: datetime) -> tuple[Receipt, ...]:
        """Return every answer on file, newest first."""
        receipts = self._of(group, now)
        return tuple(sorted(receipts, key=_answered_at, reverse=True))

    def latest(self, group: str, now: datetime) -> Receipt | None:
        """Return the last answer on file, or None: no other is ever asked for."""
        return in_force(self._of(group, now), None)

    def _of(self, group: str, now: datetime) -> list[Receipt]:
        records = self._records.list("receipt", group, now)
        return [record.value for record in records]

    @property
    def _records(self) -> Records[Receipt]:
        return Records(self.store, Receipt, durable=True)


def _key(group: str, made: Receipt) -> Key:
    return Key("receipt", group, made.record_id)


def _answered_at(receipt: Receipt) -> datetime:
    return receipt.event_time


def as_on_file(latest: Receipt | None) -> tuple[Receipt, ...]:
    """Return the last answer on file as a transaction keeps it."""
    return () if latest is None else (latest,)
