"""The cases that staff decide: list them, try again, and rule out another person's borrower."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentState
from broker.core.entities import Names
from broker.core.person_record import PersonRecord
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.waiting_slots import WakeSignal


@dataclass(frozen=True, slots=True)
class EnrolmentCases:
    """The open cases. Each concerns one person and blocks nobody else."""

    ports: EnrolmentPorts
    wake: WakeSignal

    def list_open(self) -> Iterator[tuple[str, Enrolment]]:
        """Return the person ids and enrolments of the open cases."""
        for person_id, record in self.ports.persons.list_open_cases(self.ports.now()):
            if record.value.enrolment:
                yield person_id, record.value.enrolment

    def try_again(self, person_id: str) -> bool:
        """Let the worker try an enrolment now; False where none is pending or a case."""
        now = self.ports.now()
        return self._decide(person_id, lambda enrolment: enrolment.retry(now))

    def rule_out(self, person_id: str, borrowers: Names) -> bool:
        """Say that the borrowers of a possible duplicate are other people's, and try again.

        ``borrowers`` are those that staff have seen. False where the person has no such case, or
        one of other borrowers by now: nothing else can be ruled out.
        """
        now = self.ports.now()

        def decide(enrolment: Enrolment) -> Enrolment | None:
            is_duplicate = enrolment.reason == CaseReason.POSSIBLE_DUPLICATE.value
            if not is_duplicate or set(borrowers) != set(enrolment.borrowers):
                return None
            return enrolment.rule_out(enrolment.borrowers, now)

        return self._decide(person_id, decide)

    def try_all_again(self, reason: str) -> int:
        """Let the worker try all cases of one reason, and return how many there were."""
        cases = [person_id for person_id, each in self.list_open() if each.reason == reason]
        return sum(self.try_again(person_id) for person_id in cases)

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
            return person.with_enrolment(decided) if decided else person

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
