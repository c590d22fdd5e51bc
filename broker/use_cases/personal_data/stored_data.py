"""Finds, exports and deletes everything that is stored about one person (GDPR articles 15, 17)."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from broker.core.borrowers.pins import read_identifier
from broker.core.entities import Names
from broker.core.errors import NothingFound
from broker.core.events.broker_events import TraceFacts
from broker.core.identity.cpr import looks_like_cpr, mask_numbers
from broker.core.identity.person_id import (
    PersonIds,
    compute_person_id_of_borrower,
    compute_person_id_of_cpr,
    compute_person_id_of_identifier,
)
from broker.core.login.transaction import Transaction
from broker.core.logout.sessions import Session
from broker.core.person_record import PersonRecord
from broker.core.ports import RecordUnreadable, lease_key
from broker.core.retention import SESSION, RecordKind
from broker.use_cases.logout.sessions import Pointer, Sessions
from broker.use_cases.storage.mail_outbox import QueuedMail, mail_group
from broker.use_cases.storage.person_records import PersonRecords, person_key
from broker.use_cases.storage.rate_limits import Limit, Limits
from broker.use_cases.storage.records import Lease, Record, Records, dump, load

# An export reads much of the store, and a second one shows the person nothing new.
OWN_LOOKS: Final = Limit("own records", 10, timedelta(hours=1))
# Records that no index leads to.
_SCANNED: Final[Mapping[RecordKind, tuple[type, ...]]] = {
    "session": (Session, Pointer),
    "transaction": (Transaction,),
    "reference": (TraceFacts,),
}
# Parts of the person record that the export shows on their own.
_PARTS: Final = ("receipts", "proofs", "browsers")
_MASK: Final = "••••••-••••"
# Secrets with which a person who looks at the screen could log in.
_SECRET: Final = frozenset({"text", "secret_hash"})
_NOT_SHOWN: Final = "kept, not shown"
Row = Mapping[str, Any]


class NoPerson(NothingFound):
    """No record belongs to the named person. The name is not quoted: it may be a CPR number."""

    about = "person"


class PersonBusy(NothingFound):
    """The background worker changes something for this person now."""

    about = "person"


class ForgottenLog(Protocol):
    """The log of deletions, outside what a restore of the store brings back."""

    def add(self, person_ids: Names, at: datetime) -> None:
        """Append one line for each person id, and return once it is on the disk."""

    def read(self) -> Iterable[tuple[str, datetime]]:
        """Return person id and time of each line, oldest first."""


class PersonAuditLog(Protocol):
    """The audit log of this machine, as far as it concerns one person."""

    def list_events(self, person: PersonIds, now: datetime) -> Iterable[Row]:
        """Return the events that the person's keys open, oldest first."""

    def erase(self, person: PersonIds, before: datetime | None, now: datetime) -> int:
        """Delete the person's keys that were made until ``before``, and return how many.

        With ``before`` None all keys are deleted.
        """


@dataclass(frozen=True, slots=True)
class StoredData:
    """The records of persons, of all kinds.

    A damaged record is left out: records of these kinds expire by themselves.
    """

    persons: PersonRecords
    audit_log: PersonAuditLog
    forgotten_log: ForgottenLog
    now: Callable[[], datetime]

    def find(
        self,
        typed: str = "",
        login: tuple[str, str, str] | None = None,
        borrower: str | None = None,
    ) -> PersonIds:
        """Return the person of a CPR number, an identifier or a borrower number; NoPerson.

        ``login`` is the upstream, institution and type of the identifier that was ``typed``.
        """
        hmacs = self.persons.hmacs
        if borrower is not None:
            person = self.find_of_borrower(borrower.strip())
        elif login is not None:
            person_id = compute_person_id_of_identifier(hmacs, *login, typed.strip())
            person = self.find_of_person(person_id)
        elif looks_like_cpr(typed, apart=True) and (cpr := read_identifier(typed)):
            person = self.find_of_person(compute_person_id_of_cpr(hmacs, cpr))
        else:
            raise NoPerson("this is no CPR number; say with --login what it is an identifier of")
        if not self.list_records(person) and not self.list_events(person):
            raise NoPerson("nothing is stored about this person")
        return person

    def find_of_person(self, person_id: str) -> PersonIds:
        """Return what leads to a person's records: the id, and the library id of their borrower.

        The borrower is left out if the library system has since confirmed it as another person's.
        """
        number = None
        with suppress(RecordUnreadable):
            record = self.persons.read(person_id, self.now())
            number = record.value.borrower_number if record else None
        if number and self.persons.find_by_borrower(number, self.now()) not in {None, person_id}:
            number = None
        return self._add_library_ids((person_id,), number)

    def find_of_borrower(self, borrower_number: str) -> PersonIds:
        """Return what leads to the records of the person whose record names the borrower."""
        person_id = self.persons.find_by_borrower(borrower_number, self.now())
        return self._add_library_ids((person_id,) if person_id else (), borrower_number)

    def list_records(self, person: PersonIds) -> tuple[Record[Any], ...]:
        """Return every record of the person."""
        return (*self._scan(person), *self._person_records(person), *self._mails(person))

    def list_events(self, person: PersonIds) -> Sequence[Row]:
        """Return the person's events in the audit log of this machine."""
        return list(self.audit_log.list_events(person, self.now()))

    def export(self, person: PersonIds) -> dict[str, Any]:
        """Return everything that is stored about a person, and the services that received data.

        CPR numbers are masked. Mail texts and secrets are left out.
        """
        records = self.list_records(person)
        events = [_mask(each) for each in self.list_events(person)]
        return {
            "made": self.now().isoformat(timespec="seconds"),
            "kept": [row for record in records for row in _describe(record)],
            "events": events,
            "recipients": _list_recipients(records, events),
        }

    def export_own(self, person_id: str) -> dict[str, Any]:
        """Return the export to the person of a login; TooMany after ten looks within an hour."""
        Limits(self.persons.store, self.persons.hmacs, self.now).take(OWN_LOOKS, person_id)
        return self.export(self.find_of_person(person_id))

    def forget(self, person: PersonIds) -> None:
        """Delete everything about a person.

        PersonBusy while the background worker changes something; the same call again is complete.
        """
        self.forgotten_log.add(person.ids, self.now())
        self._delete(person, None)

    def replay(self) -> int:
        """Delete again what a restored backup brought back; return of how many person ids.

        Data that was written after the time of the deletion stays: the person has come again.
        """
        latest = dict(self.forgotten_log.read())
        return sum(
            self._delete(self.find_of_person(person_id), at) for person_id, at in latest.items()
        )

    def purge(self) -> Sequence[str]:
        """Remove deleted records from the files of the store.

        Return in sentences what is still in those files, and how to remove it.
        """
        store = self.persons.store
        while store.sweep(self.now()):
            pass
        return store.purge()

    def count_restored(self) -> int:
        """Count the person ids whose record is there although it was deleted."""
        found = 0
        for person_id, at in self.forgotten_log.read():
            record = self.persons.read(person_id, self.now())
            found += record is not None and record.value.begun_at <= at
        return found

    def _add_library_ids(self, ids: Names, number: str | None) -> PersonIds:
        if number is None:
            return PersonIds(ids)
        library_id = compute_person_id_of_borrower(self.persons.hmacs, number)
        return PersonIds(tuple(dict.fromkeys((*ids, library_id))), (number,))

    def _delete(self, person: PersonIds, before: datetime | None) -> bool:
        """Delete what was written until ``before``, or everything; return whether there was any.

        Logins are marked as over first, so that a request in progress sends nothing. The person
        record, which leads to the others, goes last: if the process dies, the next deletion finds
        them again.
        """
        now = self.now()
        records = [
            record
            for record in self.list_records(person)
            if record.key.kind != "person" and (before is None or _write_time(record) <= before)
        ]
        self._end_logins(records, now)
        for record in records:
            self.persons.store.drop(record.key)
        leases = [self._take_lease(each, now) for each in person.ids]
        erased = self.audit_log.erase(person, before, now)
        deleted = [self.persons.delete(each, before, now) for each in reversed(person.ids)]
        for lease in leases:
            lease.end(now)
        return bool(records or erased or any(deleted))

    def _end_logins(self, records: Iterable[Record[Any]], now: datetime) -> None:
        sessions = Sessions(self.persons.store, self.persons.hmacs)
        for record in records:
            if isinstance(record.value, Session | Transaction) and record.value.browser:
                sessions.close(record.value.browser, str(_person_of(record.value)), now)

    def _take_lease(self, person_id: str, now: datetime) -> Lease:
        """Lease a person record for some seconds; PersonBusy if the background worker has it."""
        lease = Lease.take(self.persons.store, lease_key(person_key(person_id)), now, now)
        if lease is None:
            raise PersonBusy("the background worker changes this person: try again in a minute")
        return lease

    def _scan(self, person: PersonIds) -> Iterator[Record[Any]]:
        """Yield the person's records of the kinds that no index leads to."""
        for kind, shapes in _SCANNED.items():
            with suppress(RecordUnreadable):
                for key, kept in self.persons.store.list(kind, None, self.now()):
                    fact = _read_as(shapes, kept.value)
                    if fact is not None and _person_of(fact) in person.ids:
                        yield Record(key, fact, kept.version, kept.until)

    def _person_records(self, person: PersonIds) -> Iterator[Record[Any]]:
        for person_id in person.ids:
            with suppress(RecordUnreadable):
                record = self.persons.read(person_id, self.now())
                if record:
                    yield replace(record, value=_drop_other_borrowers(record.value, person))

    def _mails(self, person: PersonIds) -> Iterator[Record[Any]]:
        mails = Records(self.persons.store, QueuedMail)
        for about in (*person.ids, *person.borrower_numbers):
            yield from mails.list("mail", mail_group(self.persons.hmacs, about), self.now())


def _list_recipients(records: Iterable[Record[Any]], events: Iterable[Row]) -> list[Row]:
    """Return each service that received something; a deletion is reported to it (article 19).

    The sessions in the store come from all machines, the events from this machine only.
    """
    sessions = [each.value for each in records if isinstance(each.value, Session)]
    received = [(each.service, each.at.isoformat(timespec="seconds")) for each in sessions]
    received += [(each["service"], each["at"]) for each in events if each["event"] == "released"]
    # The latest time of each service comes last, and stays.
    return [{"service": name, "last": at} for name, at in dict(sorted(received)).items()]


def _write_time(record: Record[Any]) -> datetime:
    """Return when a session, a pointer to one, a login, a help code or a mail was written."""
    fact = record.value
    if isinstance(fact, Transaction):
        return fact.authenticated or fact.begun
    if isinstance(fact, QueuedMail):
        return fact.queued_at
    return fact.at if isinstance(fact, Session | TraceFacts) else record.until - SESSION.span


def _person_of(fact: Any) -> object:
    """Return the person id that a session, a pointer to one, a login or a help code carries."""
    return fact.person_id if isinstance(fact, Transaction) else fact.person


def _read_as(shapes: Iterable[type], octets: bytes) -> Any:
    """Return a record as the first of the shapes that fits; None for one that cannot be read.

    NewerRelease for one of a newer release: it may be the person's.
    """
    for shape in shapes:
        with suppress(RecordUnreadable):
            return load(shape, octets)
    return None


def _drop_other_borrowers(record: PersonRecord, person: PersonIds) -> PersonRecord:
    """Return a record without the borrower numbers of other people that a case names."""
    enrolment = record.enrolment
    if enrolment is None:
        return record
    own = tuple(each for each in enrolment.borrowers if each in person.borrower_numbers)
    return record.set_enrolment(replace(enrolment, borrowers=own, ruled_out=()))


def _describe(record: Record[Any]) -> Iterator[Row]:
    """Yield the rows of one record; those of the person record part by part."""
    value = json.loads(dump(record.value)[1:])
    parts: dict[str, Any] = {record.key.kind: value}
    if isinstance(record.value, PersonRecord):
        parts |= {part: value.pop(part) for part in _PARTS}
    for kind, content in parts.items():
        if content:
            until = record.until.isoformat(timespec="seconds")
            yield {"kind": kind, "until": until, "value": _mask(content)}


def _mask(value: Any) -> Any:
    """Return a value without CPR numbers and without secrets of logins."""
    if isinstance(value, str):
        return mask_numbers(value, _MASK)
    if isinstance(value, Mapping):
        shown = ((name, each) for name, each in value.items() if each not in (None, [], {}, ""))
        return {name: _NOT_SHOWN if name in _SECRET else _mask(each) for name, each in shown}
    if isinstance(value, Sequence):
        return [_mask(each) for each in value]
    return value
