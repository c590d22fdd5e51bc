"""Every record of one person, kind by kind, and the row of the table that says why it is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from broker.core.consent.consent import Receipt
from broker.core.entities import Names
from broker.core.errors import StoreUnavailable
from broker.core.event_routes import TraceFacts
from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.login.transaction import Arrival, Authentication, Transaction
from broker.core.logout.sessions import Session
from broker.core.logout.single_logout import Logout
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.ports import Kept, Key, RecordKind, Store
from broker.core.retention import table
from broker.core.retention.rows import Retention
from broker.use_cases.logout.sessions import Pointer
from broker.use_cases.mail_outbox import QueuedMail, mail_group
from broker.use_cases.persons.legible_records import Unread, legible
from broker.use_cases.persons.person_search import FoundPerson
from broker.use_cases.records import load

# The person id of an authentication as it was received; None where it carries no identifier.
IdOf = Callable[[Authentication], str | None]
_FACTS: Final[dict[RecordKind, type[Any]]] = {
    "transaction": Transaction,
    "arrival": Arrival,
    "logout": Logout,
    "person": PersonRecord,
    "mail": QueuedMail,
    "receipt": Receipt,
    "trace": TraceFacts,
    "forgetting": FoundPerson,
}
_LONGEST: Final = timedelta(days=3650)
_KINDS: Final[tuple[RecordKind, ...]] = (*_FACTS, "session", "proof")


@dataclass(frozen=True, slots=True, repr=False)
class TheirRecord:
    """One record: where it is, what it says, until when, and the row that it is kept by."""

    key: Key
    row: Retention
    until: datetime
    fact: Any

    @property
    def written_at(self) -> datetime:
        """Return when it was written last, as far as it says so; never a later time."""
        if isinstance(self.fact, Proved | Session | Arrival):
            return self.fact.at
        if isinstance(self.fact, Transaction):
            return self.fact.begun
        return self.until - (self.row.lasts or _LONGEST)


@dataclass(frozen=True, slots=True)
class TheirRecords:
    """Looks through the store for one person, the kinds that can hold anything of theirs.

    What cannot be read may be theirs: it is left out, and ``unread`` says so. StoreUnavailable
    where the store does not answer.
    """

    store: Store
    hmacs: LookupHmacs
    id_of: IdOf

    def of(self, person: FoundPerson, now: datetime) -> tuple[TheirRecord, ...]:
        """Return every record of the person, in the order in which they are forgotten."""
        finders = (
            self._sessions,
            self._transactions,
            self._arrivals,
            self._logouts,
            self._person_records,
            self._mails,
            self._proofs,
            self._receipts,
            self._traces,
        )
        return tuple(record for find in finders for record in find(person, now))

    def has_any_of(self, person_id: str, services: Names, now: datetime) -> bool:
        """Return whether a receipt, proof or person record is kept under a person id."""
        groups: list[tuple[RecordKind, str]] = [("person", person_id), ("proof", person_id)]
        groups += [("receipt", self.hmacs.of("receipts", person_id, each)) for each in services]
        return any(any(self.store.list(*each, now)) for each in groups)

    def unread(self, now: datetime) -> Unread:
        """Return the records that cannot be read: nobody knows whose they are."""
        unread = Unread()
        for kind in _KINDS:
            for _ in legible(self.store, kind, _fact, now, unread):
                pass
        return unread

    def _transactions(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        for key, kept, transaction in self._all("transaction", now):
            if self._is_transaction_of(transaction, person):
                yield TheirRecord(key, table.TRANSACTION, kept.until, transaction)

    def _is_transaction_of(self, transaction: Transaction, person: FoundPerson) -> bool:
        known = transaction.person
        answer = transaction.authentication
        if answer is None:
            return False
        if known is None:
            return self._leads_to(answer, person)
        return self._is(known.id, known.number, person)

    def _arrivals(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        for key, kept, arrival in self._all("arrival", now):
            answer = arrival.answer
            if isinstance(answer, Authentication) and self._leads_to(answer, person):
                yield TheirRecord(key, table.ARRIVAL, kept.until, arrival)

    def _sessions(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        records = list(self._all("session", now))
        own = {fact.id for _, _, fact in records if _is_session_of(fact, person)}
        # What points at a session goes before it: without it nobody could tell whose it was.
        for key, kept, fact in sorted(records, key=_is_session):
            if fact.id in own:
                yield TheirRecord(key, table.SESSION, kept.until, fact)

    def _logouts(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        for key, kept, logout in self._all("logout", now):
            groups = tuple(each for each in logout.groups if each[1] in person.ids)
            own = logout
            if groups != logout.groups:
                # Of several people in one browser each is shown their own.
                own = replace(logout, groups=groups, participants=())
            if groups:
                yield TheirRecord(key, table.LOGOUT, kept.until, own)

    def _person_records(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        for key, kept, record in self._all("person", now):
            if key.group in person.ids:
                own = _without_others(record, person)
                yield TheirRecord(key, table.PERSON, kept.until, own)

    def _mails(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        groups = {mail_group(self.hmacs, each) for each in (*person.ids, *person.numbers)}
        for key, kept, mail in self._all("mail", now):
            if key.group in groups:
                row = table.MAIL if mail.text else table.MAIL_SENT
                yield TheirRecord(key, row, kept.until, mail)

    def _proofs(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        owners = person.ids
        for key, kept, fact in self._all("proof", now):
            if key.name and key.group in owners:
                yield TheirRecord(key, table.PROOF, kept.until, fact)
            elif not key.name and fact.owner in owners:
                yield TheirRecord(key, table.PROOF_OWNER, kept.until, fact)

    def _receipts(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        groups = {
            self.hmacs.of("receipts", each, service)
            for each in person.ids
            for service in person.services
        }
        for key, kept, fact in self._all("receipt", now):
            if key.group in groups or key.name in person.receipts:
                yield TheirRecord(key, table.RECEIPT, kept.until, fact)

    def _traces(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        for key, kept, trace in self._all("trace", now):
            if key.group in person.references or trace.person in person.ids:
                yield TheirRecord(key, table.TRACE, kept.until, trace)

    def _all(self, kind: RecordKind, now: datetime) -> Iterator[tuple[Key, Kept, Any]]:
        return legible(self.store, kind, _fact, now)

    def _leads_to(self, answer: Authentication, person: FoundPerson) -> bool:
        return self.id_of(answer) in person.ids

    def _is(self, id_: str, number: str | None, person: FoundPerson) -> bool:
        return id_ in person.ids or (number is not None and self._has(number, person))

    def _has(self, number: str, person: FoundPerson) -> bool:
        return number in person.numbers


def _without_others(record: PersonRecord, person: FoundPerson) -> PersonRecord:
    """Return a record without the borrower numbers of other people that a case names."""
    enrolment = record.enrolment
    if enrolment is None:
        return record
    own = tuple(each for each in enrolment.borrowers if each in person.numbers)
    return record.with_enrolment(replace(enrolment, borrowers=own, ruled_out=()))


def _fact(key: Key, kept: Kept) -> Any:
    """Return what a record of a person's kinds holds; RecordUnreadable."""
    if key.kind == "session":
        return _session_or_pointer(kept)
    if key.kind == "proof":
        return load(Proved if key.name else ProofOwner, kept.value)
    return load(_FACTS[key.kind], kept.value)


def _session_or_pointer(kept: Kept) -> Session | Pointer:
    """Return what a record of this kind holds; StoreUnavailable where it is neither."""
    try:
        return load(Session, kept.value)
    except StoreUnavailable:
        return load(Pointer, kept.value)


def _is_session(record: tuple[Key, Kept, Session | Pointer]) -> bool:
    return isinstance(record[2], Session)


def _is_session_of(fact: Session | Pointer, person: FoundPerson) -> bool:
    return isinstance(fact, Session) and fact.person in person.ids
