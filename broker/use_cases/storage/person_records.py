"""Reads and writes the one record of a person, and the indexes that lead to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.identity.mail_addresses import fold_mailbox
from broker.core.identity.mailbox_proofs import MAIL_PROOF, MailboxProof
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.ports import Key, RecordUnreadable, Store, Write
from broker.core.retention import INDEX, MAILBOX_INDEX, PERSON
from broker.use_cases.storage.records import Claimed, Content, Record, Records

_FOR_STAFF: Final = "for staff"
_BORROWER: Final = "borrower number"
_MAILBOX: Final = "proved mailbox"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An entry of an index: it leads to the person of a borrower number or proved mailbox.

    The entries of the group ``for staff`` list the persons whom staff must look at.
    """

    person_id: str


@dataclass(frozen=True, slots=True)
class PersonRecords:
    """The records of persons in a store.

    Every method raises ``StoreUnavailable`` if the store does not answer.
    """

    store: Store
    hmacs: LookupHmacs

    def read(self, person_id: str, now: datetime) -> Record[PersonRecord] | None:
        """Return the record of a person, or None if there is none."""
        return self._records.get(person_key(person_id), now)

    def change(
        self,
        person_id: str,
        change: Callable[[PersonRecord], PersonRecord],
        now: datetime,
        *,
        read: Record[PersonRecord] | None = None,
        others: Sequence[Write] = (),
    ) -> Record[PersonRecord] | None:
        """Write the record that ``change`` returns, and return the stored record.

        ``change`` gets an empty record if there is none, and is called again if another process
        wrote first. If it changes nothing, nothing is written. ``read`` is the record if the caller
        has read it already. ``others`` are written together with the record.
        """
        before = PersonRecord(now, begun_at=now)

        def write(record: Record[PersonRecord] | None) -> Content[PersonRecord] | None:
            nonlocal before
            before = record.value if record else PersonRecord(now, begun_at=now)
            after = change(before)
            return None if after == before else _content(after)

        amended = self._records.amend(person_key(person_id), write, now, read=read, others=others)
        if amended.record is not None:
            self._write_indexes(person_id, before, amended.record.value, now)
        return amended.record

    def draft_seen(self, record: Record[PersonRecord], now: datetime) -> tuple[Write, ...]:
        """Return the write that stores when a person was last seen, for ``put_many``.

        Empty if that is stored for this day already.
        """
        seen = record.value.mark_seen(now)
        if seen == record.value:
            return ()
        return (self._records.draft(record.key, _content(seen), record.version),)

    def claim_mailbox(self, person_id: str, proof: MailboxProof, now: datetime) -> bool:
        """Give the mailbox of ``proof`` to this person; return False if another person has it.

        A person whose borrower has expired loses the mailbox to the next one.
        """

        def claim(entry: Record[IndexEntry] | None) -> Content[IndexEntry] | None:
            owner = entry.value.person_id if entry else person_id
            if owner != person_id and not self._has_ended(owner, proof, now):
                return None
            return Content(IndexEntry(person_id), MAILBOX_INDEX.ends(proof.until))

        return self._index.amend(self._mailbox_key(proof), claim, now).written

    def list_proofs(self, record: Record[PersonRecord], now: datetime) -> tuple[MailboxProof, ...]:
        """Return the proofs that have not expired and whose mailbox another person has not got.

        The index says which person has a mailbox. Several persons may have the same contact
        address.
        """
        person_id = record.key.group
        return tuple(
            each
            for each in record.value.list_proofs(now)
            if each.name == MAIL_PROOF or self._find(self._mailbox_key(each), now) == person_id
        )

    def drop_proof(self, person_id: str, proof_name: str, now: datetime) -> None:
        """Remove a proof, so that another person can prove this mailbox."""
        record = self.read(person_id, now)
        if record is None:
            return
        self._drop_stale_entries(record, record.value.drop_proof(proof_name), now)
        self.change(person_id, lambda each: each.drop_proof(proof_name), now, read=record)

    def claim_due(self, deadline: datetime, now: datetime) -> Claimed[PersonRecord] | None:
        """Lease the person record whose task has been due longest; None if none is due."""
        return self._records.claim("person", deadline, now)

    def list_all(self, now: datetime) -> Iterator[Record[PersonRecord]]:
        """Return the records of all persons."""
        return self._records.list("person", None, now)

    def find_by_borrower(self, number: str, now: datetime) -> str | None:
        """Return the id of the person whose record names the borrower ``number``, or None."""
        person_id = self._find(self._borrower_key(number), now)
        record = self.read(person_id, now) if person_id else None
        return person_id if record and record.value.borrower_number == number else None

    def list_for_staff(self, now: datetime) -> Iterator[tuple[str, Record[PersonRecord]]]:
        """Return the persons with an open case or a failing enrolment, with their records."""
        for entry in self._index.list("index", _FOR_STAFF, now):
            record = self.read(entry.value.person_id, now)
            if record and record.value.is_for_staff:
                yield entry.value.person_id, record

    def delete(self, person_id: str, before: datetime | None, now: datetime) -> bool:
        """Remove the record with its index entries, and return whether there was anything.

        ``before`` is the time of an earlier deletion: see ``PersonRecord.keep_after``. A record
        that cannot be read is removed as a whole.
        """
        try:
            record = self.read(person_id, now)
        except RecordUnreadable:
            self._records.drop(person_key(person_id))
            return True
        if record is None:
            return False
        kept = record.value.keep_after(before, now) if before else None
        if kept == record.value:
            return False
        self._drop_stale_entries(record, kept or PersonRecord(now, now), now)
        if kept is None or before is None:
            self._index.drop(_staff_key(person_id))
            self._records.drop(record.key)
        else:
            self.change(
                person_id, lambda each: each.keep_after(before, now) or each, now, read=record
            )
        return True

    def _drop_stale_entries(
        self, record: Record[PersonRecord], kept: PersonRecord, now: datetime
    ) -> None:
        """Remove the index entries of proofs and borrower that ``kept`` no longer has."""
        ended = (each for each in record.value.proofs if each not in kept.proofs)
        keys = [self._mailbox_key(each) for each in ended]
        number = record.value.borrower_number
        if number and number != kept.borrower_number:
            keys.append(self._borrower_key(number))
        for key in keys:
            if self._find(key, now) == record.key.group:
                self._index.drop(key)

    def _write_indexes(
        self, person_id: str, before: PersonRecord, after: PersonRecord, now: datetime
    ) -> None:
        """Update the indexes after the record was written.

        If the process dies in between, an entry may be stale: readers ignore it. A borrower number
        leads to the person whom the library system confirmed last.
        """
        entry = IndexEntry(person_id)
        until = INDEX.until(after.last_seen)
        number = after.borrower_number
        if number and (before.borrower_number, before.last_seen) != (number, after.last_seen):
            is_confirmed = before.borrower != after.borrower
            if is_confirmed or self.find_by_borrower(number, now) in {None, person_id}:
                self._index.put(self._borrower_key(number), entry, until, now)
        if after.is_for_staff:
            self._index.put(_staff_key(person_id), entry, until, now)
        elif before.is_for_staff:
            self._index.drop(_staff_key(person_id))

    def _has_ended(self, person_id: str, proof: MailboxProof, now: datetime) -> bool:
        """Return whether a proof of this mailbox ended because the borrower has expired."""
        record = self.read(person_id, now)
        mailbox = self._mailbox_key(proof)
        return record is not None and any(
            self._mailbox_key(each) == mailbox and record.value.has_proof_ended(each, now)
            for each in record.value.proofs
        )

    def _find(self, key: Key, now: datetime) -> str | None:
        """Return the person to whom an index entry leads, or None."""
        entry = self._index.get(key, now)
        return entry.value.person_id if entry else None

    def _mailbox_key(self, proof: MailboxProof) -> Key:
        return Key("index", self.hmacs.compute(_MAILBOX, proof.name, fold_mailbox(proof.address)))

    def _borrower_key(self, number: str) -> Key:
        return Key("index", self.hmacs.compute(_BORROWER, number))

    @property
    def _records(self) -> Records[PersonRecord]:
        return Records(self.store, PersonRecord, durable=True)

    @property
    def _index(self) -> Records[IndexEntry]:
        return Records(self.store, IndexEntry, durable=True)


def _content(person: PersonRecord) -> Content[PersonRecord]:
    return Content(person, PERSON.until(person.last_seen), person.due)


def person_key(person_id: str) -> Key:
    """Return the key of the record of a person."""
    return Key("person", person_id)


def _staff_key(person_id: str) -> Key:
    return Key("index", _FOR_STAFF, person_id)
