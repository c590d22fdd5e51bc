"""The ports of enrolments, with the deadlines, hashes and audit events that all parts use."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.matching import AddressQuestion, PersonFacts, fold_address
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import EventPort, discard_event
from broker.core.identity.mail_addresses import mask_address
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.ports import LibrarySystem, Write
from broker.use_cases.pins.borrower_pins import BorrowerPins
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.storage.records import Lease, dump

# A call of the worker may take so long; a request waits less.
CALL: Final = timedelta(seconds=15)
REQUEST_CALL: Final = timedelta(seconds=3)


class Superseded(Exception):
    """Another worker has the lease, or a login has changed the record: stop at once."""


@dataclass(frozen=True, slots=True)
class EnrolmentPorts:
    """Library system, person records, PINs and the port of events.

    ``asks_register`` says whether a register of persons is configured. ``trust_for`` is how long an
    answer of the library system counts.
    """

    library: LibrarySystem
    persons: PersonRecords
    hmacs: LookupHmacs
    now: Callable[[], datetime]
    pins: BorrowerPins
    asks_register: bool = False
    trust_for: timedelta = timedelta(minutes=10)
    tell: EventPort = discard_event

    def hold(self, lease: Lease) -> datetime:
        """Return the deadline of the worker's next call, until which the lease is held.

        Raises Superseded if another worker has the lease.
        """
        deadline = self.now() + CALL
        if not lease.renew(deadline, self.now()):
            raise Superseded
        return deadline

    def hash_facts(self, person: PersonFacts) -> str:
        """Return the keyed hash of the facts that were compared with a borrower."""
        facts = person.surname, person.given_name, str(person.birth_date)
        return self.hmacs.compute("person-facts", *facts)

    def hash_wanted(self, wanted: WantedBorrower) -> str:
        """Return the keyed hash of a wanted borrower.

        Its expiry is left out, which moves every day, and so are the person's answer and language.
        """
        lasting = replace(wanted, expires=date.min, upgrade=False, language="")
        return self.hmacs.compute("wanted-borrower", dump(lasting).decode())

    def check_first_match(
        self, record: PersonRecord | None, borrower: Borrower, email: str | None, language: str
    ) -> tuple[AddressQuestion | None, tuple[Write, ...]]:
        """Return the question whether the address in a borrower is the person's own, and a notice.

        No question is asked and no notice mailed if the person's ``record`` names the borrower
        already, or if the borrower has no address. The login brings the address ``email``: if it is
        the same, nothing is asked. The notice goes to the address in the library system. That
        record may carry the CPR number of another person, and its owner must learn of it. It is
        mailed once, although the question about the address may return.
        """
        if borrower.email is None or (record and record.borrower_number == borrower.number):
            return None, ()
        address = fold_address(borrower.email)
        match_hash = self.hmacs.compute("first match", borrower.number, address)
        question = AddressQuestion(mask_address(borrower.email), match_hash)
        is_same = email is not None and fold_address(email) == address
        notice: tuple[Write, ...] = ()
        if record is None or record.match_hash != match_hash:
            notice = self.pins.draft_match_notice(borrower.number, borrower.email, language)
        return None if is_same else question, notice

    def record_event(
        self, kind: AuditEventKind, person_id: str, enrolment: Enrolment, reason: str | None = None
    ) -> None:
        """Write an event of an enrolment to the audit log."""
        event = AuditEvent(kind, self.now(), person=person_id, reason=reason, about=enrolment.id)
        self.tell(event)
