"""Carries out what is due for persons: enrolments, and look-ups in the register.

The process may die between any two lines. So every attempt looks again before it writes anything.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.core.borrowers.borrower import Borrower, list_numbers
from broker.core.borrowers.change_plan import (
    Change,
    describe_outcome,
    find_case_reason,
    plan_change,
)
from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentOutcome
from broker.core.borrowers.matching import AddressQuestion, can_be_claimed, is_possible_duplicate
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryError, LibraryRefused, LibraryUnavailable
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.person_record import PersonRecord
from broker.core.ports import Write
from broker.use_cases.enrolment.ports import CALL, EnrolmentPorts, Superseded
from broker.use_cases.enrolment.register_look_ups import RegisterLookUps
from broker.use_cases.storage.records import Lease
from broker.use_cases.storage.worker_loop import retry_delay

# After this many creates without effect, staff must look at the enrolment.
_MOST_CREATES: Final = 3
_MOST_CONFLICTS: Final = 2


@dataclass(frozen=True, slots=True)
class PersonWorker:
    """Works on person records. ``look_ups`` is None if no register is configured."""

    ports: EnrolmentPorts
    look_ups: RegisterLookUps | None = None

    def step(self) -> bool:
        """Do the work of one person that has been due longest; False if nothing is due."""
        persons, now = self.ports.persons, self.ports.now()
        claimed = persons.claim_due(now + CALL, now)
        if claimed is None:
            return False
        person_id, person = claimed.record.key.group, claimed.record.value
        enrolment, due = person.enrolment, person.enrolment_due
        if enrolment and due and due <= now:
            _Attempt(self.ports, claimed.lease, person_id, person, enrolment).run()
        elif self.look_ups and person.register_look_up:
            self.look_ups.carry_out(person_id, person.register_look_up, claimed.lease)
        else:
            # The register was taken out of the configuration: its look-ups go.
            persons.change(person_id, lambda each: each.end_look_up(None, now), now)
            claimed.lease.end(now)
        return True


@dataclass(slots=True)
class _Attempt:
    """An attempt at the enrolment of a person, under a lease."""

    ports: EnrolmentPorts
    lease: Lease
    person_id: str
    person: PersonRecord  # as it was when the attempt began
    enrolment: Enrolment

    def run(self) -> None:
        """Do all that can be done now. After a failure the enrolment is due again later."""
        wanted = self.enrolment.wanted
        with suppress(Superseded):
            if wanted:
                self._try(wanted)
            else:
                # The login that led to this case wanted no borrower: the next login checks again.
                self._end_without_borrower()
        self.lease.end(self.ports.now())

    def _try(self, wanted: WantedBorrower) -> None:
        try:
            self._carry_out(wanted)
        except LibraryRefused as error:
            if error.setting is None:
                self._open_case(CaseReason.LIBRARY_REFUSED, last_error=str(error))
            else:
                self._postpone(error)
        except LibraryUnavailable as error:
            self._postpone(error)

    def _carry_out(self, wanted: WantedBorrower) -> None:
        """Find the borrower, or claim or create one, and change it as wanted.

        If a unique field rejects a create, start again once.
        """
        for _ in range(_MOST_CONFLICTS):
            found = self._find(wanted)
            if found:
                self._finish_with(found, wanted)
                return
            if not wanted.creates:
                self._end_without_borrower()
                return
            claimed = self._read_claimed(wanted)
            similar = self._find_possible_duplicates(wanted) if claimed is None else (claimed,)
            if claimed is not None and self._can_still_claim(claimed, wanted):
                self._write_cpr(claimed, wanted)
            elif similar:
                self._open_case(CaseReason.POSSIBLE_DUPLICATE, list_numbers(similar))
                return
            elif self._create(wanted):
                self._confirm_create(wanted)
                return
        what = "the unique field of the person's number is in another borrower"
        self._open_case(CaseReason.LIBRARY_REFUSED, last_error=what)

    def _hold(self) -> datetime:
        """Return the deadline of the next call, until which the lease is held."""
        return self.ports.hold(self.lease)

    def _find(self, wanted: WantedBorrower) -> tuple[Borrower, ...]:
        return self.ports.library.find(wanted.cpr or "", self._hold())

    def _finish_with(self, found: tuple[Borrower, ...], wanted: WantedBorrower) -> None:
        """Change the one borrower of this person as wanted, or open a case."""
        reason = find_case_reason(found, wanted.person, wanted.cpr or "")
        if reason:
            self._open_case(reason, list_numbers(found))
            return
        borrower, claim = found[0], self.enrolment.claimed
        change = plan_change(borrower, wanted, self.ports.now().date())
        outcome = describe_outcome(borrower, change, wanted)
        if self._is_created_by_us(borrower):
            outcome = EnrolmentOutcome.CREATED
        elif claim and borrower.number == claim.borrower_number:
            outcome = EnrolmentOutcome.CLAIMED
        language, question = wanted.language, None
        mails: tuple[Write, ...] = ()
        if outcome is not EnrolmentOutcome.CREATED:
            question, mails = self.ports.check_first_match(
                self.person, borrower, wanted.email, language
            )
        elif wanted.pin_to:
            mails = self.ports.pins.draft_welcome_mail(borrower.number, wanted.pin_to, language)
        if outcome is EnrolmentOutcome.CLAIMED and claim and not claim.is_by_card:
            question = None  # the person typed the code that was mailed to the address
        if change:
            borrower = self.ports.library.change(change, self._hold())
        self._finish(borrower, outcome, wanted, mails, question)

    def _is_created_by_us(self, borrower: Borrower) -> bool:
        return self.enrolment.creates > 0 and borrower.mark == self.enrolment.id

    def _read_claimed(self, wanted: WantedBorrower) -> Borrower | None:
        """Return the borrower that the person has claimed; None if there is none.

        Raises LibraryUnavailable if it has the CPR number already: the search, which did not find
        it, is behind, and the enrolment is tried again later.
        """
        claim = self.enrolment.claimed
        if claim is None:
            return None
        borrower = self.ports.library.read(claim.borrower_number, self._hold())
        if borrower is not None and borrower.cpr == wanted.cpr:
            raise LibraryUnavailable("the claimed borrower is not found by the CPR number yet")
        return borrower

    def _can_still_claim(self, borrower: Borrower, wanted: WantedBorrower) -> bool:
        claim = self.enrolment.claimed
        is_by_card = claim is None or claim.is_by_card
        return can_be_claimed(wanted.person, borrower, is_by_card=is_by_card)

    def _write_cpr(self, borrower: Borrower, wanted: WantedBorrower) -> None:
        """Write the CPR number into a claimed borrower.

        The library system refuses the change if another person has claimed it meanwhile.
        """
        change = Change(borrower.number, (), cpr=wanted.cpr)
        self.ports.library.change(change, self._hold())
        if not self._find(wanted):
            raise LibraryUnavailable("the claimed borrower has not got the CPR number")

    def _find_possible_duplicates(self, wanted: WantedBorrower) -> tuple[Borrower, ...]:
        person, email = wanted.person, wanted.email
        candidates = self.ports.library.find_similar(person.birth_date, email, self._hold())
        ruled_out = self.enrolment.ruled_out
        return tuple(
            each
            for each in candidates
            if each.number not in ruled_out and is_possible_duplicate(person, email, each)
        )

    def _create(self, wanted: WantedBorrower) -> bool:
        """Create the borrower; False if a unique field rejected it."""
        self._write(replace(self.enrolment, creates=self.enrolment.creates + 1))
        created = self.ports.library.create(wanted, self.enrolment.id, self._hold())
        return created is not None

    def _confirm_create(self, wanted: WantedBorrower) -> None:
        """Search again, because the answer to a create does not prove that the borrower exists."""
        found = self._find(wanted)
        if found:
            self._finish_with(found, wanted)
        elif self.enrolment.creates >= _MOST_CREATES:
            what = "creates were answered and had no effect"
            self._open_case(CaseReason.LIBRARY_REFUSED, last_error=what)
        else:
            raise LibraryUnavailable("a create was answered and had no effect")

    def _finish(
        self,
        borrower: Borrower,
        outcome: EnrolmentOutcome,
        wanted: WantedBorrower,
        mails: tuple[Write, ...],
        question: AddressQuestion | None = None,
    ) -> None:
        ports = self.ports
        done = self.enrolment.finish(outcome)
        hashes = ports.hash_facts(wanted.person), ports.hash_wanted(wanted)
        now = ports.now()

        def end(person: PersonRecord) -> PersonRecord:
            ended = person.set_enrolment(done)
            if question and person.borrower_number != borrower.number:
                return ended.note_match(question.match_hash)
            ended = ended.confirm_borrower(borrower, now, *hashes)
            if not ports.asks_register or wanted.cpr is None:
                return ended
            return ended.request_look_up(wanted.cpr, borrower.number, wanted.register, now)

        self._change(end, mails)
        if mails:
            ports.pins.outbox.wake_worker()
        ports.record_event(AuditEventKind.ENROLMENT_DONE, self.person_id, done, outcome.value)

    def _end_without_borrower(self) -> None:
        """End a request that may not create a borrower; the next login says so."""
        self._change(lambda person: person.set_enrolment(None))

    def _open_case(
        self, reason: CaseReason, borrowers: tuple[str, ...] = (), last_error: str | None = None
    ) -> None:
        case = self.enrolment.open_case(reason, borrowers, last_error)
        self._write(case)
        self.ports.record_event(AuditEventKind.ENROLMENT_CASE, self.person_id, case, reason.value)

    def _postpone(self, error: LibraryError) -> None:
        now, attempts = self.ports.now(), self.enrolment.attempts
        reason = "library_setup" if error.setting else error.reason
        until = now + retry_delay(attempts)
        self._write(self.enrolment.postpone(reason, str(error), error.setting, now, until))
        facts = {
            "enrolment": self.enrolment.id,
            "reason": reason,
            "cause": str(error),
            "setting": error.setting,
            "attempts": attempts + 1,
        }
        self.ports.tell(BrokerEvent(EventKind.ENROLMENT_DELAYED, facts))

    def _write(self, enrolment: Enrolment) -> None:
        self._change(lambda person: person.set_enrolment(enrolment))
        self.enrolment = enrolment

    def _change(
        self, change: Callable[[PersonRecord], PersonRecord], others: tuple[Write, ...] = ()
    ) -> None:
        """Write unless a login has changed the enrolment since it was read.

        The login's request is due now, and is carried out when this lease has ended.
        """
        before = self.enrolment

        def write(person: PersonRecord) -> PersonRecord:
            if person.enrolment != before:
                raise Superseded
            return change(person)

        self.ports.persons.change(self.person_id, write, self.ports.now(), others=others)
