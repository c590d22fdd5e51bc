"""Reads and writes the one record of a person, and the indexes that lead to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.ports import Key, Store, Write
from broker.core.retention.table import INDEX, PERSON
from broker.use_cases.records import Claimed, Content, Record, Records

_FOR_STAFF: Final = "for staff"
_BORROWER: Final = "borrower number"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The person that a borrower number, or the list of staff, leads to."""

    person_id: str


@dataclass(frozen=True, slots=True)
class PersonRecords:
    """The records of persons in a store.

    Every method raises ``StoreUnavailable`` where the store does not answer.
    """

    store: Store
    hmacs: LookupHmacs

    def read(self, person_id: str, now: datetime) -> Record[PersonRecord] | None:
        """Return the record of a person, or None where there is none."""
        return self._records.get(person_key(person_id), now)

    def change(
        self,
        person_id: str,
        change: Callable[[PersonRecord], PersonRecord],
        now: datetime,
        *,
        read: Record[PersonRecord] | None = None,
        others: Sequence[Write] = (),
    ) -> Record[PersonRecord]:
        """Write what ``change`` makes of the record, and return the record as it stands then.

        ``change`` is given an empty record where there is none, and is called again where another
        writer came first. Nothing is written where it changes nothing. ``read`` is the record where
        the caller has read it already. ``others`` are written in the
        same turn, only with the record.
        """
        before: PersonRecord | None = None

        def write(record: Record[PersonRecord] | None) -> Content[PersonRecord] | None:
            nonlocal before
            before = record.value if record else None
            after = change(before or PersonRecord(last_seen=now))
            if after == before:
                return None
            return Content(after, PERSON.until(after.last_seen), after.due)

        amended = self._records.amend(person_key(person_id), write, now, read=read, others=others)
        if amended.record is None:
            raise StoreUnavailable("a person record was not written")
        self._write_indexes(person_id, before, amended.record.value, now)
        return amended.record

    def claim_due(self, deadline: datetime, now: datetime) -> Claimed[PersonRecord] | None:
        """Lease the person whose work has been due longest; None where none is due."""
        return self._records.claim("person", deadline, now)

    def list_all(self, now: datetime) -> Iterator[Record[PersonRecord]]:
        """Return the records of all persons."""
        return self._records.list("person", None, now)

    def find_by_borrower(self, number: str, now: datetime) -> str | None:
        """Return the id of the person whose record names the borrower ``number``, or None."""
        entry = self._index.get(self._borrower_key(number), now)
        if entry is None:
            return None
        record = self.read(entry.value.person_id, now)
        if record is None or record.value.borrower_number != number:
            return None
        return entry.value.person_id

    def list_for_staff(self, now: datetime) -> Iterator[tuple[str, Record[PersonRecord]]]:
        """Return the persons with an open case or a failing enrolment, with their records."""
        for entry in self._index.list("index", _FOR_STAFF, now):
            record = self.read(entry.value.person_id, now)
            if record and record.value.is_for_staff:
                yield entry.value.person_id, record

    def drop(self, person_id: str, now: datetime) -> None:
        """Remove the record of a person, and what leads to it."""
        record = self.read(person_id, now)
        if record and record.value.borrower_number:
            self._index.drop(self._borrower_key(record.value.borrower_number))
        self._index.drop(_staff_key(person_id))
        self._records.drop(person_key(person_id))

    def _write_indexes(
        self, person_id: str, before: PersonRecord | None, after: PersonRecord, now: datetime
    ) -> None:
        """Write after the record: an entry that leads nowhere is ignored by its readers."""
        entry = IndexEntry(person_id)
        until = INDEX.until(after.last_seen)
        number = after.borrower_number
        if number and (before is None or before.borrower_number != number):
            self._index.put(self._borrower_key(number), entry, until, now)
        if after.is_for_staff:
            self._index.put(_staff_key(person_id), entry, until, now)
        elif before and before.is_for_staff:
            self._index.drop(_staff_key(person_id))

    def _borrower_key(self, number: str) -> Key:
        return Key("index", self.hmacs.of(_BORROWER, number))

    @property
    def _records(self) -> Records[PersonRecord]:
        return Records(self.store, PersonRecord, durable=True)

    @property
    def _index(self) -> Records[IndexEntry]:
        return Records(self.store, IndexEntry, durable=True)


def person_key(person_id: str) -> Key:
    """Return the key of the record of a person."""
    return Key("person", person_id)


def _staff_key(person_id: str) -> Key:
    return Key("index", _FOR_STAFF, person_id)
