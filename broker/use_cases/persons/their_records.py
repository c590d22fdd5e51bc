"""Every record of one person, kind by kind, and the row of the table that says why it is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.pin_record import PinRecord
from broker.core.consent.consent import Receipt
from broker.core.entities import Names
from broker.core.errors import StoreUnavailable
from broker.core.identity.mailbox_proofs import ProofOwner, Proved
from broker.core.identity.person_id import compute_person_id_of_cpr
from broker.core.login.transaction import Arrival, Authentication, Transaction
from broker.core.logout.sessions import Session
from broker.core.logout.single_logout import Logout
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.ports import Kept, Key, RecordKind, RecordUnreadable, Store
from broker.core.retention import table
from broker.core.retention.rows import Retention
from broker.use_cases.login.support_traces import SupportTrace, mark_of
from broker.use_cases.logout.sessions import Pointer
from broker.use_cases.mail_outbox import QueuedMail, mail_group
from broker.use_cases.persons.legible_records import Unread, legible
from broker.use_cases.persons.person_search import FoundPerson
from broker.use_cases.proofs.known_browsers import KnownBrowser
from broker.use_cases.proofs.owed_pin_mails import OwedPinMail
from broker.use_cases.proofs.pin_letters import (
    CurrentCode,
    PinLetter,
    TypedNumbers,
    identifier_pseudonym,
)
from broker.use_cases.records import load

# The person id of an authentication as it was received; None where it carries no identifier.
IdOf = Callable[[Authentication], str | None]
_PIN_SHAPES: Final[dict[str, tuple[type[Any], Retention]]] = {
    "record": (PinRecord, table.PIN_RECORD),
    "": (OwedPinMail, table.PIN_MAIL),
    "letter": (PinLetter, table.PIN_LETTER),
    "current": (CurrentCode, table.PIN_CODE),
    "typed": (TypedNumbers, table.PIN_TYPED),
    "browser": (KnownBrowser, table.PIN_BROWSER),
}
_FACTS: Final[dict[RecordKind, type[Any]]] = {
    "transaction": Transaction,
    "arrival": Arrival,
    "logout": Logout,
    "enrolment": Enrolment,
    "person": PersonRecord,
    "mail": QueuedMail,
    "receipt": Receipt,
    "trace": SupportTrace,
    "forgetting": FoundPerson,
}
_LONGEST: Final = timedelta(days=3650)
_KINDS: Final[tuple[RecordKind, ...]] = (*_FACTS, "session", "pin", "proof")


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
            self._enrolments,
            self._pins,
            self._mails,
            self._proofs,
            self._receipts,
            self._traces,
        )
        return tuple(record for find in finders for record in find(person, now))

    def has_any_of(self, person_id: str, services: Names, now: datetime) -> bool:
        """Return whether a receipt, proof, enrolment or record is kept under a person id."""
        groups: list[tuple[RecordKind, str]] = [
            (kind, person_id) for kind in ("person", "proof", "enrolment")
        ]
        groups += [("receipt", self.hmacs.of("receipts", person_id, each)) for each in services]
        return any(any(self.store.list(*each, now)) for each in groups)

    def with_typed(self, person: FoundPerson, now: datetime) -> FoundPerson:
        """Return the person with what was typed for them: their letters and browsers tell."""
        facts = [fact for _, _, fact in self._all("pin", now)]
        known = [fact for fact in facts if isinstance(fact, PinLetter | KnownBrowser)]
        own = [
            each for fact in known if self._has(fact.number, person) for each in fact.identifiers
        ]
        return replace(person, typed=tuple(dict.fromkeys((*person.typed, *own))))

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
                yield TheirRecord(key, table.PERSON, kept.until, record)

    def _enrolments(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        for key, kept, enrolment in self._all("enrolment", now):
            if enrolment.id in person.enrolments:
                own = _without_others(enrolment, person)
                yield TheirRecord(key, _row_of(enrolment), kept.until, own)

    def _pins(self, person: FoundPerson, now: datetime) -> Iterator[TheirRecord]:
        typed = {*person.typed}
        for key, kept, fact in self._all("pin", now):
            if self._is_pin_of(key, fact, person, typed):
                yield TheirRecord(key, _PIN_SHAPES[key.name][1], kept.until, fact)

    def _is_pin_of(self, key: Key, fact: object, person: FoundPerson, typed: set[str]) -> bool:
        match fact:
            case PinLetter() | KnownBrowser():
                return self._has(fact.number, person)
            case TypedNumbers():
                return not typed.isdisjoint(fact.identifiers)
            case OwedPinMail():
                pseudonym = identifier_pseudonym(self.hmacs, fact.whom)
                asker = compute_person_id_of_cpr(self.hmacs, fact.whom)
                asked = asker in person.ids or pseudonym in typed
                return asked or (fact.what != "link" and self._has(fact.whom, person))
            case _:
                return key.group in self._of_numbers(person)

    def _of_numbers(self, person: FoundPerson) -> set[str]:
        labels = ("pin-record", "pin-letter-of", "pin-owed")
        return {self.hmacs.of(label, number) for label in labels for number in person.numbers}

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
                row = table.TEMPORARY_OWNER if fact.name == "temporary" else table.PROOF_OWNER
                yield TheirRecord(key, row, kept.until, fact)

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
        marks = {mark_of(each, self.hmacs) for each in person.ids}
        for key, kept, trace in self._all("trace", now):
            named = key.group in person.references or trace.enrolment in person.enrolments
            if named or trace.person in marks:
                yield TheirRecord(key, table.TRACE, kept.until, trace)

    def _all(self, kind: RecordKind, now: datetime) -> Iterator[tuple[Key, Kept, Any]]:
        return legible(self.store, kind, _fact, now)

    def _leads_to(self, answer: Authentication, person: FoundPerson) -> bool:
        return self.id_of(answer) in person.ids

    def _is(self, id_: str, number: str | None, person: FoundPerson) -> bool:
        return id_ in person.ids or (number is not None and self._has(number, person))

    def _has(self, number: str, person: FoundPerson) -> bool:
        return number in person.numbers


def _without_others(enrolment: Enrolment, person: FoundPerson) -> Enrolment:
    """Return an enrolment without the borrower numbers of others that a case names beside."""
    link = enrolment.link if enrolment.link in person.numbers else None
    borrowers = tuple(each for each in enrolment.borrowers if each in person.numbers)
    return replace(enrolment, link=link, borrowers=borrowers)


def _row_of(enrolment: Enrolment) -> Retention:
    match enrolment.state:
        case EnrolmentState.WANTED:
            return table.WISH
        case EnrolmentState.OBSERVED:
            return table.OBSERVED
        case EnrolmentState.CASE:
            return table.WISH_OF_CASE if enrolment.wish else table.CASE
        case EnrolmentState.DONE | EnrolmentState.GIVEN_UP:
            return table.ENROLLED


def _fact(key: Key, kept: Kept) -> Any:
    """Return what a record of a person's kinds holds; RecordUnreadable."""
    if key.kind == "session":
        return _session_or_pointer(kept)
    if key.kind == "proof":
        return load(Proved if key.name else ProofOwner, kept.value)
    if key.kind != "pin":
        return load(_FACTS[key.kind], kept.value)
    if key.name not in _PIN_SHAPES:
        raise RecordUnreadable("pin record of an unknown release", key)
    return load(_PIN_SHAPES[key.name][0], kept.value)


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
