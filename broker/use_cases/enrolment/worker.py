"""Carries out what is due for persons: enrolments, and look-ups in the register.

The process may die between any two lines. So every attempt looks again before it writes anything.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from broker.core.borrowers.borrower import Borrower, list_numbers
from broker.core.borrowers.change_plan import (
    Change,
    describe_outcome,
    find_case_reason,
    plan_change,
)
from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentOutcome, EnrolmentState
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

# So many creates of one request may have no effect before staff must look.
_MOST_CREATES: Final = 3


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
        record = claimed.record
        due = record.value.enrolment_due
        if due is not None and due <= now:
            person_id, enrolment = record.key.group, record.value.enrolment
            _Attempt(person_id, enrolment, claimed.lease, self.ports, record.value).run()
        elif self.look_ups is not None:
            self.look_ups.carry_out(claimed)
        else:
            # The register was taken out of the configuration: its look-ups go.
            persons.change(record.key.group, lambda each: each.end_look_up(None, now), now)
            claimed.lease.end(now)
        return True


@dataclass(slots=True)
class _Attempt:
    """An attempt at the enrolment of a person, under a lease."""

    person_id: str
    enrolment: Enrolment | None
    lease: Lease
    ports: EnrolmentPorts
    person: PersonRecord  # as it was when the attempt began

    def run(self) -> None:
        """Do all that can be done now. After a failure the enrolment is due again later."""
        enrolment = self.enrolment
        if enrolment and enrolment.state is EnrolmentState.PENDING:
            with suppress(Superseded):
                if enrolment.wanted:
                    self._try(enrolment, enrolment.wanted)
                else:
                    # A case of a login that asked for nothing: the next login looks again.
                    self._end_without_borrower()
        self.lease.end(self.ports.now())

    def _try(self, enrolment: Enrolment, wanted: WantedBorrower) -> None:
        try:
            self._carry_out(wanted)
        except LibraryRefused as error:
            if error.setting is None:
                self._open_case(CaseReason.LIBRARY_REFUSED, last_error=str(error))
            else:
                self._postpone(enrolment, error)
        except LibraryUnavailable as error:
            self._postpone(enrolment, error)

    def _carry_out(self, wanted: WantedBorrower) -> None:
        """Do the three steps. If a unique field rejects a create, start again once."""
        while True:
            found = self._find(wanted)
            if found:
                self._finish_with(found, wanted)
                return
            if not wanted.creates:
                self._end_without_borrower()
                return
            claimed = self._read_claimed(wanted)
            if claimed is not None:
                if not self._write_number(claimed, wanted):
                    self._open_case(CaseReason.POSSIBLE_DUPLICATE, list_numbers((claimed,)))
                    return
                continue
            similar = self._find_possible_duplicates(wanted)
            if similar:
                self._open_case(CaseReason.POSSIBLE_DUPLICATE, list_numbers(similar))
                return
            if self._create(wanted):
                self._count_after_create(wanted)
                return
            if self._current.conflicts > 1:
                what = "the unique field of the person's number is in another borrower"
                self._open_case(CaseReason.LIBRARY_REFUSED, last_error=what)
                return

    @property
    def _current(self) -> Enrolment:
        if self.enrolment is None:
            raise Superseded
        return self.enrolment

    def _find(self, wanted: WantedBorrower) -> tuple[Borrower, ...]:
        return self.ports.library.find(wanted.cpr or "", self.ports.hold(self.lease))

    def _finish_with(self, found: tuple[Borrower, ...], wanted: WantedBorrower) -> None:
        """Change the one borrower of this person as wanted, or open a case."""
        reason = find_case_reason(found, wanted.person, wanted.cpr or "")
        if reason:
            self._open_case(CaseReason(reason), list_numbers(found))
            return
        borrower = found[0]
        change = plan_change(borrower, wanted, self.ports.now().date())
        made = describe_outcome(borrower, change, wanted)
        if self._is_created_by_us(borrower):
            made = EnrolmentOutcome.CREATED
        elif self._current.claimed and borrower.number == self._current.claimed.borrower_number:
            made = EnrolmentOutcome.CLAIMED
        mails = self._draft_mails(borrower, made, wanted)
        question = self._ask_about_match(borrower, made, wanted)
        if change:
            borrower = self.ports.library.change(change, self.ports.hold(self.lease))
        self._finish(borrower, made, wanted, mails, question)

    def _ask_about_match(
        self, borrower: Borrower, made: EnrolmentOutcome, wanted: WantedBorrower
    ) -> AddressQuestion | None:
        """Return the question that the next login asks before it uses the borrower, or None.

        A person who typed the code that was mailed to the address has answered it.
        """
        claim = self._current.claimed
        is_proved = made is EnrolmentOutcome.CLAIMED and claim and not claim.is_by_card
        if made is EnrolmentOutcome.CREATED or is_proved:
            return None
        return self.ports.ask_about_match(self.person, borrower, wanted.email)

    def _draft_mails(
        self, borrower: Borrower, made: EnrolmentOutcome, wanted: WantedBorrower
    ) -> tuple[Write, ...]:
        """Return the welcome mail, or the notice of a first match to the present address."""
        if made is not EnrolmentOutcome.CREATED:
            return self.ports.draft_notice_of_match(self.person, borrower, wanted.language)
        if wanted.pin_to is None:
            return ()
        return self.ports.pins.draft_welcome_mail(borrower.number, wanted.pin_to, wanted.language)

    def _is_created_by_us(self, borrower: Borrower) -> bool:
        enrolment = self._current
        return enrolment.creates > 0 and borrower.mark == enrolment.id

    def _read_claimed(self, wanted: WantedBorrower) -> Borrower | None:
        """Return the borrower that the person has claimed; None if there is none.

        It is not found by the CPR number yet. Raises LibraryUnavailable if the number is in it
        already.
        """
        claim = self._current.claimed
        if claim is None:
            return None
        borrower = self.ports.library.read(claim.borrower_number, self.ports.hold(self.lease))
        if borrower is not None and borrower.cpr == wanted.cpr:
            raise LibraryUnavailable("the claimed borrower is not found by the CPR number yet")
        return borrower

    def _write_number(self, borrower: Borrower, wanted: WantedBorrower) -> bool:
        """Write the CPR number into a claimed borrower; False if it no longer fits.

        The library system refuses the change if another person has claimed it meanwhile.
        """
        claim = self._current.claimed
        is_by_card = claim is None or claim.is_by_card
        if not can_be_claimed(wanted.person, borrower, is_by_card=is_by_card):
            return False
        change = Change(borrower.number, (), cpr=wanted.cpr)
        self.ports.library.change(change, self.ports.hold(self.lease))
        if not self._find(wanted):
            raise LibraryUnavailable("the claimed borrower has not got the CPR number")
        return True

    def _find_possible_duplicates(self, wanted: WantedBorrower) -> tuple[Borrower, ...]:
        person = wanted.person
        email = wanted.email
        deadline = self.ports.hold(self.lease)
        candidates = self.ports.library.find_similar(person.birth_date, email, deadline)
        ruled_out = self._current.ruled_out
        return tuple(
            each
            for each in candidates
            if each.number not in ruled_out and is_possible_duplicate(person, email, each)
        )

    def _create(self, wanted: WantedBorrower) -> bool:
        """Create the borrower; False if a unique field rejected it."""
        before = self._current
        self._write(before.count_create())
        made = self.ports.library.create(wanted, before.id, self.ports.hold(self.lease))
        if made is None:
            self._write(self._current.count_conflict())
        return made is not None

    def _count_after_create(self, wanted: WantedBorrower) -> None:
        """Count the borrowers with the CPR number: the answer to a create proves nothing."""
        found = self._find(wanted)
        if found:
            self._finish_with(found, wanted)
        elif self._current.creates >= _MOST_CREATES:
            what = "creates were answered and had no effect"
            self._open_case(CaseReason.LIBRARY_REFUSED, last_error=what)
        else:
            raise LibraryUnavailable("a create was answered and had no effect")

    def _finish(
        self,
        borrower: Borrower,
        made: EnrolmentOutcome,
        wanted: WantedBorrower,
        mails: tuple[Write, ...],
        question: AddressQuestion | None = None,
    ) -> None:
        ports = self.ports
        done = self._current.finish(made)
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

        self._change(end, done, mails)
        if mails:
            ports.pins.outbox.wake_worker()
        ports.record_event(AuditEventKind.ENROLMENT_DONE, self.person_id, done, made.value)

    def _end_without_borrower(self) -> None:
        """End a request that may not create a borrower; the next login says so."""
        self._change(lambda person: person.set_enrolment(None), None)

    def _open_case(
        self, reason: CaseReason, borrowers: tuple[str, ...] = (), last_error: str | None = None
    ) -> None:
        case = self._current.open_case(reason, borrowers, last_error)
        self._write(case)
        self.ports.record_event(AuditEventKind.ENROLMENT_CASE, self.person_id, case, reason.value)

    def _postpone(self, enrolment: Enrolment, error: LibraryError) -> None:
        now = self.ports.now()
        reason = "library_setup" if error.setting else error.reason
        until = now + retry_delay(enrolment.attempts)
        self._write(self._current.postpone(reason, str(error), error.setting, now, until))
        facts = {
            "enrolment": enrolment.id,
            "reason": reason,
            "cause": str(error),
            "setting": error.setting,
            "attempts": enrolment.attempts + 1,
        }
        self.ports.tell(BrokerEvent(EventKind.ENROLMENT_DELAYED, facts))

    def _write(self, enrolment: Enrolment) -> None:
        self._change(lambda person: person.set_enrolment(enrolment), enrolment)

    def _change(
        self,
        change: Callable[[PersonRecord], PersonRecord],
        after: Enrolment | None,
        others: tuple[Write, ...] = (),
    ) -> None:
        """Write unless a login has changed the enrolment since it was read.

        The login's request is due now, and is carried out when this lease has ended.
        """
        before = self._current
        is_superseded = False

        def write(person: PersonRecord) -> PersonRecord:
            nonlocal is_superseded
            is_superseded = person.enrolment != before
            return person if is_superseded else change(person)

        self.ports.persons.change(self.person_id, write, self.ports.now(), others=others)
        if is_superseded:
            raise Superseded
        self.enrolment = after
