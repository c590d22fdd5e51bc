"""The enrolments and cases that staff see, and their decisions."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentState
from broker.core.entities import Names
from broker.core.events.audit_events import AuditEventKind
from broker.core.person_record import PersonRecord
from broker.core.staff.staff_sentences import StaffSentence, sentence_for
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.storage.worker_loop import WakeSignal

# An enrolment that has failed for so long is shown to staff.
FAILED_AFTER: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class StaffEnrolment:
    """The enrolment or case of one person, as staff see it.

    ``own_number`` is the number of the borrower that the person's record names.
    """

    person_id: str
    enrolment: Enrolment
    own_number: str | None

    @property
    def since(self) -> datetime:
        """Return when the enrolment began to fail, or when it was requested."""
        return self.enrolment.failing_since or self.enrolment.requested_at

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to try."""
        return self.enrolment.state is EnrolmentState.DONE

    @property
    def borrower_numbers(self) -> Names:
        """Return the numbers of all borrowers that the enrolment concerns."""
        numbers = (self.own_number, *self.enrolment.borrowers)
        return tuple(dict.fromkeys(filter(None, numbers)))

    @property
    def sentence(self) -> StaffSentence:
        """Return what is wrong, and what staff do about it."""
        return sentence_for(self.enrolment.state.value, self.enrolment.reason)

    def as_row(self) -> Mapping[str, Any]:
        """Return the values that the command line shows."""
        return {
            "person": self.person_id,
            "state": self.enrolment.state.value,
            "reason": self.enrolment.reason,
            "since": self.since.isoformat(timespec="minutes"),
            "borrowers": self.borrower_numbers,
            **asdict(self.sentence),
            "library_answer": self.enrolment.last_error,
        }


@dataclass(frozen=True, slots=True)
class EnrolmentCases:
    """The enrolments in the person records. A case concerns one person and blocks nobody else."""

    ports: EnrolmentPorts
    wake: WakeSignal

    def list_open(self) -> tuple[StaffEnrolment, ...]:
        """Return open cases and enrolments that have failed for 15 minutes, oldest first."""
        now = self.ports.now()
        listed = []
        for person_id, record in self.ports.persons.list_for_staff(now):
            shown = describe_enrolment(person_id, record.value)
            if record.value.has_open_case or shown.since <= now - FAILED_AFTER:
                listed.append(shown)
        return tuple(sorted(listed, key=attrgetter("since")))

    def find_person(self, borrower_number: str) -> str | None:
        """Return the id of the borrower's person, or else of a case about the borrower."""
        person_id = self.ports.persons.find_by_borrower(borrower_number, self.ports.now())
        if person_id:
            return person_id
        about = (each for each in self.list_open() if borrower_number in each.borrower_numbers)
        return next((each.person_id for each in about), None)

    def try_again(self, person_id: str) -> bool:
        """Let the worker try an enrolment now; False if none is pending or a case."""
        return self._decide(person_id, self._retry)

    def rule_out(self, person_id: str, borrowers: Names) -> bool:
        """Record that the borrowers of a possible duplicate are other people's, and try again.

        ``borrowers`` are those that staff have seen. False if the person has no such case, or one
        about other borrowers now: only what staff have seen can be ruled out.
        """

        def decide(enrolment: Enrolment) -> Enrolment:
            is_seen = set(borrowers) == set(enrolment.borrowers)
            if enrolment.reason != CaseReason.POSSIBLE_DUPLICATE or not is_seen:
                return enrolment
            return enrolment.rule_out(self.ports.now())

        return self._decide(person_id, decide)

    def try_all_again(self, reason: str) -> int:
        """Let the worker try every open enrolment of a reason, and return how many there were."""
        listed = self.ports.persons.list_for_staff(self.ports.now())
        wanted = [
            person_id
            for person_id, record in listed
            if record.value.enrolment and record.value.enrolment.reason == reason
        ]
        return sum(self._decide(person_id, self._retry) for person_id in wanted)

    def _retry(self, enrolment: Enrolment) -> Enrolment:
        return enrolment.retry(self.ports.now())

    def _decide(self, person_id: str, decide: Callable[[Enrolment], Enrolment]) -> bool:
        """Change the open enrolment of a person; return whether it was changed."""
        before: Enrolment | None = None

        def change(person: PersonRecord) -> PersonRecord:
            nonlocal before
            before = person.enrolment
            if before is None or before.state is EnrolmentState.DONE:
                return person
            return person.set_enrolment(decide(before))

        changed = self.ports.persons.change(person_id, change, self.ports.now())
        after = changed.value.enrolment if changed else None
        if before is None or after is None or after == before:
            return False
        kind = AuditEventKind.ENROLMENT_RETRIED
        self.ports.record_event(kind, person_id, after, before.reason)
        self.wake.set()
        return True


def describe_enrolment(person_id: str, record: PersonRecord) -> StaffEnrolment:
    """Return what staff see of the enrolment in a person record."""
    enrolment = record.enrolment or Enrolment("", EnrolmentState.DONE, record.last_seen)
    return StaffEnrolment(person_id, enrolment, record.borrower_number)
