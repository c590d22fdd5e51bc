"""An enrolment under its lease: each call has a deadline, each write a holder of the lease."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.core.audit_events import of_enrolment
from broker.core.borrowers.enrolment import Enrolment
from broker.core.errors import BrokerError
from broker.core.event_routes import BrokerEvent, EventKind
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import CALL, EnrolmentDraft, StoredEnrolment
from broker.use_cases.records import Lease


class Overtaken(Exception):
    """The lease is another's, or a later wish was written: stop at once, they look again."""


@dataclass(slots=True)
class LeasedEnrolment:
    """The enrolment of ``entry``, which follows each of our writes, under ``lease``."""

    entry: StoredEnrolment
    lease: Lease
    ports: EnrolmentPorts

    def _by(self) -> datetime:
        """Return the deadline of a call that changes nothing, which no lost lease forbids.

        Whoever has just sent a create counts the borrowers, lease or not.
        """
        deadline = self.ports.now() + CALL
        self.lease.renew(deadline, self.ports.now())
        return deadline

    def _held_by(self) -> datetime:
        """Return the deadline of a call that changes something."""
        deadline = self.ports.now() + CALL
        self._hold(deadline)
        return deadline

    def _hold(self, deadline: datetime) -> None:
        if not self.lease.renew(deadline, self.ports.now()):
            raise Overtaken

    def _write(self, enrolment: Enrolment, due: datetime | None) -> None:
        self._hold(self.ports.now() + CALL)
        before = self.entry.enrolment
        written = self.ports.records.write(self.entry, enrolment, due)
        if written is None:
            raise Overtaken
        self.entry = written
        self._tell(before, enrolment)

    def _amend(self, change: Callable[[StoredEnrolment], EnrolmentDraft | None]) -> None:
        """Write what holds whoever has the lease by now, of the enrolment as it stands."""
        before = self.entry.enrolment

        def changed(entry: StoredEnrolment) -> EnrolmentDraft | None:
            nonlocal before
            before = entry.enrolment
            return change(entry)

        after = self.ports.records.amend(self.entry.key, changed)
        if after:
            self._tell(before, after)

    def _tell(self, before: Enrolment, after: Enrolment) -> None:
        for event in of_enrolment(before, after, self.entry.key.group, self.ports.now()):
            self.ports.trail.add(event)

    def _tell_held_up(self, error: BrokerError) -> None:
        enrolment = self.entry.enrolment
        facts = {
            "enrolment": enrolment.id,
            "reason": error.reason,
            "cause": str(error),
            "setting": error.setting,
            "attempts": enrolment.attempts + 1,
        }
        self.ports.tell(BrokerEvent(EventKind.ENROLMENT_HELD_UP, facts))
