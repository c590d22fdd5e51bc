"""Finds and deletes everything that is stored about one person."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from broker.core import retention
from broker.core.entities import Names
from broker.core.errors import LeadsNowhere, StoreUnavailable
from broker.core.event_routes import TraceFacts
from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.core.login.transaction import Transaction
from broker.core.logout.sessions import Session
from broker.core.person_record import PersonRecord
from broker.core.ports import Kept, Key, RecordKind, RecordUnreadable, lease_of
from broker.core.retention import Retention
from broker.use_cases.logout.sessions import Pointer, Sessions
from broker.use_cases.mail_outbox import QueuedMail, mail_group
from broker.use_cases.person_records import PersonRecords, person_key
from broker.use_cases.records import Lease, Records, load

_LOOK_EVERY: Final = 0.25


class PersonBusy(LeadsNowhere):
    """The background worker changes something for the person at the moment."""

    about = "person"


@dataclass(frozen=True, slots=True, repr=False)
class PersonIds:
    """What leads to the records of one person: person ids and borrower numbers."""

    ids: Names
    borrower_numbers: Names = ()


@dataclass(frozen=True, slots=True)
class ForgottenLine:
    """One line of ``forgotten.log``: when a person id was deleted."""

    at: datetime
    person_id: str


class ForgottenLog(Protocol):
    """The log of deletions, outside what a restore of the store brings back."""

    def add(self, person_ids: Names, at: datetime) -> None:
        """Append one line for each person id, and return once it is on the disk."""
        ...

    def read(self) -> Iterable[ForgottenLine]:
        """Return the lines, oldest first."""
        ...


class PersonAuditLog(Protocol):
    """The audit log of this machine, as far as it concerns one person."""

    def list_events(self, person: PersonIds, now: datetime) -> Iterable[Mapping[str, Any]]:
        """Return the events that the person's keys open, oldest first."""
        ...

    def erase(self, person: PersonIds, before: datetime | None, now: datetime) -> int:
        """Delete the person's keys that were made until ``before``, and return how many.

        None deletes all.
        """
        ...


@dataclass(frozen=True, slots=True, repr=False)
class StoredRecord:
    """One record of a person, with the row of the retention table that it is kept by."""

    key: Key
    row: Retention
    until: datetime
    fact: Any

    @property
    def written_at(self) -> datetime:
        """Return when it was written."""
        match self.fact:
            case Session() | TraceFacts():
                return self.fact.at
            case QueuedMail():
                return self.fact.queued_at
            case Transaction():
                return self.fact.authenticated or self.fact.begun
        return self.until - self.row.span


@dataclass(frozen=True, slots=True)
class StoredData:
    """The records of persons over all kinds.

    ``patience`` is how long a deletion waits for the background worker. A record of somebody that
    cannot be read is left out: of these kinds it ends by itself.
    """

    persons: PersonRecords
    audit_log: PersonAuditLog | None
    forgotten_log: ForgottenLog
    now: Callable[[], datetime]
    pause: Callable[[float], object]
    patience: timedelta = timedelta(seconds=120)

    def find_of_person(self, person_id: str) -> PersonIds:
        """Return what leads to a person's records: the id, and the library id of their borrower.

        Not of a borrower that the library system has since confirmed as another person's.
        """
        number = None
        with suppress(RecordUnreadable):
            record = self.persons.read(person_id, self.now())
            number = record.value.borrower_number if record else None
        if number and self.persons.find_by_borrower(number, self.now()) not in {None, person_id}:
            number = None
        return self._with_library_ids((person_id,), number)

    def find_of_borrower(self, borrower_number: str) -> PersonIds:
        """Return what leads to the records of the person whose record names the borrower."""
        person_id = self.persons.find_by_borrower(borrower_number, self.now())
        return self._with_library_ids((person_id,) if person_id else (), borrower_number)

    def list_records(self, person: PersonIds) -> tuple[StoredRecord, ...]:
        """Return every record of the person."""
        kinds = (
            self._sessions,
            self._transactions,
            self._person_records,
            self._mails,
            self._traces,
        )
        return tuple(record for list_kind in kinds for record in list_kind(person))

    def list_events(self, person: PersonIds) -> list[Mapping[str, Any]]:
        """Return the person's events in the audit log of this machine."""
        if self.audit_log is None:
            return []
        return list(self.audit_log.list_events(person, self.now()))

    def forget(self, person: PersonIds) -> int:
        """Delete everything about a person, and return how many records there were.

        PersonBusy where the background worker does not end; the same call again is complete.
        """
        self.forgotten_log.add(person.ids, self.now())
        return self._delete(person, None)

    def replay(self) -> int:
        """Delete again what a restored backup brought back, and return of how many person ids.

        What was written after a line's time stays: the person has come again.
        """
        latest = {line.person_id: line.at for line in self.forgotten_log.read()}
        return sum(
            self._delete(self.find_of_person(person_id), at) > 0 for person_id, at in latest.items()
        )

    def count_restored(self) -> int:
        """Count the person ids whose record is there although it was deleted."""
        found = 0
        for line in self.forgotten_log.read():
            record = self.persons.read(line.person_id, self.now())
            found += record is not None and record.value.keep_after(line.at) != record.value
        return found

    def _with_library_ids(self, ids: Names, number: str | None) -> PersonIds:
        if number is None:
            return PersonIds(ids)
        library_id = compute_person_id_of_borrower(self.persons.hmacs, number)
        return PersonIds(tuple(dict.fromkeys((*ids, library_id))), (number,))

    def _delete(self, person: PersonIds, before: datetime | None) -> int:
        """Delete what was written until ``before``; None: everything.

        The record that leads to the others goes last: a deletion that was killed finds them again.
        """
        records = [
            record
            for record in self.list_records(person)
            if record.key.kind != "person" and (before is None or record.written_at <= before)
        ]
        self._end_logins(records)
        for record in records:
            self.persons.store.drop(record.key)
        deleted = len(records)
        with ExitStack() as leases:
            for person_id in person.ids:
                leases.enter_context(self._leased(person_id))
            if self.audit_log is not None:
                deleted += self.audit_log.erase(person, before, self.now())
            for person_id in reversed(person.ids):
                deleted += self.persons.delete(person_id, before, self.now())
        return deleted

    def _end_logins(self, records: Iterable[StoredRecord]) -> None:
        """Mark that what the person authenticated is over: a request under way sends nothing."""
        sessions = Sessions(self.persons.store, self.persons.hmacs)
        for record in records:
            match record.fact:
                case Session(browser=browser, person=person_id):
                    sessions.close(browser, person_id, self.now())
                case Transaction(browser=str(browser), person=person) if person:
                    sessions.close(browser, person.id, self.now())

    @contextmanager
    def _leased(self, person_id: str) -> Iterator[None]:
        lease = self._take_lease(person_id)
        try:
            yield
        finally:
            lease.end(self.now())

    def _take_lease(self, person_id: str) -> Lease:
        """Return the lease on a person record, once the background worker has ended."""
        key = lease_of(person_key(person_id))
        latest = self.now() + self.patience
        while True:
            now = self.now()
            lease = Lease.take(self.persons.store, key, now, now)
            if lease is not None:
                return lease
            if now >= latest:
                raise PersonBusy("broker work changes something for the person: try again")
            self.pause(_LOOK_EVERY)

    def _sessions(self, person: PersonIds) -> Iterator[StoredRecord]:
        found = list(self._scan("session", _load_session))
        own = {
            each.id
            for _, _, each in found
            if isinstance(each, Session) and each.person in person.ids
        }
        # Pointers first: without its session nobody could tell whose a pointer was.
        for key, until, session in sorted(found, key=_is_session):
            if session.id in own:
                yield StoredRecord(key, retention.SESSION, until, session)

    def _transactions(self, person: PersonIds) -> Iterator[StoredRecord]:
        for key, until, each in self._scan("transaction", _load_transaction):
            if each.person and each.person.id in person.ids:
                yield StoredRecord(key, retention.TRANSACTION, until, each)

    def _person_records(self, person: PersonIds) -> Iterator[StoredRecord]:
        for person_id in person.ids:
            with suppress(RecordUnreadable):
                record = self.persons.read(person_id, self.now())
                if record:
                    own = _without_others(record.value, person)
                    yield StoredRecord(record.key, retention.PERSON, record.until, own)

    def _mails(self, person: PersonIds) -> Iterator[StoredRecord]:
        mails = Records(self.persons.store, QueuedMail)
        for about in (*person.ids, *person.borrower_numbers):
            for record in mails.list("mail", mail_group(self.persons.hmacs, about), self.now()):
                row = retention.MAIL if record.value.text else retention.MAIL_SENT
                yield StoredRecord(record.key, row, record.until, record.value)

    def _traces(self, person: PersonIds) -> Iterator[StoredRecord]:
        for key, until, trace in self._scan("reference", _load_trace):
            if trace.person in person.ids:
                yield StoredRecord(key, retention.TRACE, until, trace)

    def _scan(
        self, kind: RecordKind, read: Callable[[Kept], Any]
    ) -> Iterator[tuple[Key, datetime, Any]]:
        """Yield every record of a kind that can be read."""
        with suppress(RecordUnreadable):
            for key, kept in self.persons.store.list(kind, None, self.now()):
                with suppress(RecordUnreadable):
                    yield key, kept.until, read(kept)


def _without_others(record: PersonRecord, person: PersonIds) -> PersonRecord:
    """Return a record without the borrower numbers of other people that a case names."""
    enrolment = record.enrolment
    if enrolment is None:
        return record
    own = tuple(each for each in enrolment.borrowers if each in person.borrower_numbers)
    return record.with_enrolment(replace(enrolment, borrowers=own, ruled_out=()))


def _is_session(found: tuple[Key, datetime, Session | Pointer]) -> bool:
    return isinstance(found[2], Session)


def _load_session(kept: Kept) -> Session | Pointer:
    try:
        return load(Session, kept.value)
    except StoreUnavailable:
        return load(Pointer, kept.value)


def _load_transaction(kept: Kept) -> Transaction:
    return load(Transaction, kept.value)


def _load_trace(kept: Kept) -> TraceFacts:
    return load(TraceFacts, kept.value)
