"""The enrolments and cases that staff see, and their decisions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentState
from broker.core.entities import Names
from broker.core.events.audit_events import AuditEventKind
from broker.core.person_record import PersonRecord
from broker.core.staff.staff_sentences import StaffSentence, sentence_for
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.storage.rate_limits import Limit, Limits
from broker.use_cases.storage.worker_loop import WakeSignal

# An enrolment that has failed for so long is shown to staff.
FAILED_AFTER: Final = timedelta(minutes=15)
TRIES: Final = Limit("staff-retries", 6, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class StaffEnrolment:
    """The enrolment or case of one person, as staff see it.

    ``library_answer`` is the sentence of the library system behind the last error. ``number`` is
    the person's own borrower, ``borrower_numbers`` all that the enrolment concerns, and
    ``case_borrowers`` those of its case. ``setting`` is the setting of the library system that must
    be corrected.
    """

    person_id: str
    state: EnrolmentState
    reason: str | None
    since: datetime
    library_answer: str | None
    number: str | None
    borrower_numbers: Names
    case_borrowers: Names
    setting: str | None

    @property
    def sentence(self) -> StaffSentence:
        """Return what is wrong, and what staff do about it."""
        return sentence_for(self.state.value, self.reason)

    @property
    def can_try_again(self) -> bool:
        """Return whether something is left to try."""
        return self.state is not EnrolmentState.DONE

    @property
    def can_rule_out(self) -> bool:
        """Return whether staff may say that the borrowers are another person's."""
        is_case = self.state is EnrolmentState.CASE
        return is_case and self.reason == CaseReason.POSSIBLE_DUPLICATE

    def as_row(self) -> Mapping[str, Any]:
        """Return the values that the command line shows."""
        return {
            "person": self.person_id,
            "state": self.state.value,
            "reason": self.reason,
            "since": self.since.isoformat(timespec="minutes"),
            "borrowers": self.borrower_numbers,
            "situation": self.sentence.situation,
            "action": self.sentence.action,
            "library_answer": self.library_answer,
        }


@dataclass(frozen=True, slots=True)
class EnrolmentCases:
    """The enrolments in the person records. A case concerns one person and blocks nobody else."""

    ports: EnrolmentPorts
    wake: WakeSignal

    def list_open(self) -> tuple[StaffEnrolment, ...]:
        """Return open cases and enrolments that have failed for 15 minutes, oldest first."""
        now = self.ports.now()
        shown = [
            describe_enrolment(person_id, record.value)
            for person_id, record in self.ports.persons.list_for_staff(now)
        ]
        latest = now - FAILED_AFTER
        listed = [
            each for each in shown if each.state is EnrolmentState.CASE or each.since <= latest
        ]
        return tuple(sorted(listed, key=attrgetter("since")))

    def find(self, person_id: str) -> StaffEnrolment | None:
        """Return the enrolment of a person; None if nothing is stored about them."""
        record = self.ports.persons.read(person_id, self.ports.now())
        return describe_enrolment(person_id, record.value) if record else None

    def find_by_borrower(self, number: str) -> StaffEnrolment | None:
        """Return the enrolment of the borrower's person, or else a case about the borrower."""
        person_id = self.ports.persons.find_by_borrower(number, self.ports.now())
        if person_id is not None:
            return self.find(person_id)
        return next((each for each in self.list_open() if number in each.borrower_numbers), None)

    def try_again(self, person_id: str) -> bool:
        """Let the worker try an enrolment now; False if none is pending or a case.

        Raises TooMany after six an hour for one person, because each asks the library system.
        """
        self._limits.take(TRIES, person_id)
        return self._retry(person_id)

    def rule_out(self, person_id: str, borrowers: Names) -> bool:
        """Record that the borrowers of a possible duplicate are other people's, and try again.

        ``borrowers`` are those that staff have seen. False if the person has no such case, or one
        about other borrowers now: only what staff have seen can be ruled out.
        """
        self._limits.take(TRIES, person_id)
        now = self.ports.now()

        def decide(enrolment: Enrolment) -> Enrolment | None:
            is_duplicate = enrolment.reason == CaseReason.POSSIBLE_DUPLICATE
            if not is_duplicate or set(borrowers) != set(enrolment.borrowers):
                return None
            return enrolment.rule_out(enrolment.borrowers, now)

        return self._decide(person_id, decide)

    def try_all_again(self, reason: str) -> int:
        """Let the worker try every open enrolment of a reason, and return how many there were."""
        listed = self.ports.persons.list_for_staff(self.ports.now())
        wanted = [
            person_id
            for person_id, record in listed
            if record.value.enrolment and record.value.enrolment.reason == reason
        ]
        return sum(self._retry(person_id) for person_id in wanted)

    def _retry(self, person_id: str) -> bool:
        now = self.ports.now()
        return self._decide(person_id, lambda enrolment: enrolment.retry(now))

    def _decide(self, person_id: str, decide: Callable[[Enrolment], Enrolment | None]) -> bool:
        now = self.ports.now()
        decided: Enrolment | None = None
        reason: str | None = None

        def change(person: PersonRecord) -> PersonRecord:
            nonlocal decided, reason
            decided = None
            before = person.enrolment
            if before is None or before.state is EnrolmentState.DONE:
                return person
            decided, reason = decide(before), before.reason
            return person.set_enrolment(decided) if decided else person

        record = self.ports.persons.read(person_id, now)
        if record is None:
            return False
        self.ports.persons.change(person_id, change, now, read=record)
        if decided is None:
            return False
        kind = AuditEventKind.ENROLMENT_RETRIED
        self.ports.record_event(kind, person_id, decided, reason)
        self.wake.set()
        return True

    @property
    def _limits(self) -> Limits:
        return Limits(self.ports.persons.store, self.ports.hmacs, self.ports.now)


def describe_enrolment(person_id: str, record: PersonRecord) -> StaffEnrolment:
    """Return what staff see of the enrolment in a person record."""
    enrolment = record.enrolment or Enrolment("", EnrolmentState.DONE, record.last_seen)
    numbers = (record.borrower_number, *enrolment.borrowers)
    is_done = enrolment.state is EnrolmentState.DONE
    return StaffEnrolment(
        person_id=person_id,
        state=enrolment.state,
        reason=enrolment.reason,
        since=enrolment.failing_since or enrolment.requested_at,
        library_answer=enrolment.last_error,
        number=record.borrower_number if is_done else None,
        borrower_numbers=tuple(dict.fromkeys(number for number in numbers if number)),
        case_borrowers=enrolment.borrowers,
        setting=enrolment.setting,
    )
