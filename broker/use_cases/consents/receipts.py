"""The receipts of consents and notices in the store: append-only, pseudonymous, for two years."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.consent.consent import Receipt, newest_first, standing
from broker.core.ports import Key, Store
from broker.core.retention.table import RECEIPT
from broker.use_cases.records import Content, Record, Records


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
        return newest_first(self._of(group, now))

    def on_file(self, group: str, now: datetime) -> tuple[Receipt, ...]:
        """Return the answers that a login may go by, as ``as_on_file``."""
        return as_on_file(self._of(group, now))

    def complete(self, group: str, made: Receipt, now: datetime) -> None:
        """Add to a receipt of an earlier release the digests that it lacked, and nothing else."""

        def completed(record: Record[Receipt] | None) -> Content[Receipt] | None:
            if record is None or record.value.terms:
                return None
            value = replace(record.value, terms=made.terms, parts=made.parts)
            return Content(value, record.until)

        self._records.amend(_key(group, made), completed, now)

    def _of(self, group: str, now: datetime) -> list[Receipt]:
        records = self._records.list("receipt", group, now)
        return [record.value for record in records]

    @property
    def _records(self) -> Records[Receipt]:
        return Records(self.store, Receipt, durable=True)


def _key(group: str, made: Receipt) -> Key:
    return Key("receipt", group, made.record_id)


def as_on_file(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Return what a transaction keeps of all answers: the last one, and each yes that may count.

    That for one login only may count too: it may be the last to say that an attribute stays back.
    Newest first.
    """
    answers = newest_first(receipts)
    return tuple(dict.fromkeys([*answers[:1], *_counting(standing(answers))]))


def _counting(answers: Iterable[Receipt]) -> Iterator[Receipt]:
    spoken_of: set[str] = set()
    for each in answers:
        left = {*each.names} - {*each.told}
        if each.valid_until or left - spoken_of:
            yield each
        spoken_of |= {*each.names}
