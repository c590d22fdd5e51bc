"""Asks the register of persons for addresses in the background, and writes them to borrowers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.register_look_up import (
    ADDRESS_REFUSED,
    LookUpOutcome,
    RegisterLookUp,
    address_changes,
)
from broker.core.borrowers.registered_person import NOT_ACTIVE, RegisterError, RegisterRefused
from broker.core.errors import AuditUnavailable, BrokerError, LibraryError, LibraryRefused
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.ports import PersonRegister
from broker.use_cases.enrolment.ports import EnrolmentPorts, Superseded
from broker.use_cases.storage.records import Lease
from broker.use_cases.storage.worker_loop import retry_delay

_LONGEST_REST: Final = timedelta(minutes=10)


@dataclass(slots=True)
class RegisterLookUps:
    """Carries out the look-ups that are due.

    While the register does not answer, all look-ups pause, for ten minutes at most.
    """

    ports: EnrolmentPorts
    register: PersonRegister
    _failures: int = field(default=0, init=False)
    _rests_until: datetime | None = field(default=None, init=False)

    def carry_out(self, person_id: str, look_up: RegisterLookUp, lease: Lease) -> None:
        """Carry out a look-up that is due, or postpone it while the register pauses."""
        try:
            if self._rests_until and self.ports.now() < self._rests_until:
                self._postpone(person_id, look_up)
            else:
                self._carry_out(person_id, look_up, lease)
        except Superseded:
            pass
        except Exception:
            # A look-up that stays due would be claimed before all others.
            self._postpone(person_id, look_up)
            raise
        finally:
            lease.end(self.ports.now())

    def _carry_out(self, person_id: str, look_up: RegisterLookUp, lease: Lease) -> None:
        note = None
        try:
            if look_up.is_too_old(self.ports.now()):
                outcome = LookUpOutcome.GIVEN_UP
            else:
                outcome, note = self._look_up(person_id, look_up, lease)
                self._failures = 0
        except (RegisterError, LibraryError, AuditUnavailable) as error:
            self._report_failure(look_up, error)
            if not isinstance(error, RegisterRefused) or error.setting:
                if isinstance(error, RegisterError):
                    self._rest()
                self._postpone(person_id, look_up)
                return
            # The record of this person cannot be read: asked again, it would be the same.
            outcome = LookUpOutcome.UNREADABLE
        self.ports.hold(lease)
        now = self.ports.now()
        self.ports.persons.change(person_id, lambda record: record.end_look_up(note, now), now)
        self._record(AuditEventKind.REGISTER_ANSWERED, person_id, outcome)
        facts = {"for": look_up.reason, "outcome": outcome}
        self.ports.tell(BrokerEvent(EventKind.REGISTER_LOOKED_UP, facts))

    def _look_up(
        self, person_id: str, look_up: RegisterLookUp, lease: Lease
    ) -> tuple[LookUpOutcome, str | None]:
        """Ask the register and write the address; return the outcome and a note for staff."""
        if self._find_borrower(look_up, lease) is None:
            return LookUpOutcome.NO_BORROWER, None
        # The audit log comes first: no CPR number leaves for the register without its line.
        self._record(AuditEventKind.REGISTER_ASKED, person_id, look_up.reason)
        person = self.register.look_up(look_up.cpr, self.ports.hold(lease))
        if person is None or person.note:
            return LookUpOutcome.NOT_ACTIVE, person.note if person else NOT_ACTIVE
        if person.protected:
            return LookUpOutcome.PROTECTED, None
        # Staff may have written an address, or another CPR number, in the meantime.
        borrower = self._find_borrower(look_up, lease)
        if borrower is None:
            return LookUpOutcome.NO_BORROWER, None
        fields = address_changes(person.address, borrower.fields, look_up.rule)
        if not fields:
            return LookUpOutcome.UNCHANGED, None
        try:
            self.ports.library.change(Change(borrower.number, fields), self.ports.hold(lease))
        except LibraryRefused as error:
            if error.setting:
                raise
            self._report_failure(look_up, error)
            return LookUpOutcome.NOT_WRITTEN, ADDRESS_REFUSED
        return LookUpOutcome.WRITTEN, None

    def _find_borrower(self, look_up: RegisterLookUp, lease: Lease) -> Borrower | None:
        """Return the borrower if it is still the only one with the CPR number."""
        found = self.ports.library.find(look_up.cpr, self.ports.hold(lease))
        if [borrower.number for borrower in found] != [look_up.borrower_number]:
            return None
        return found[0]

    def _postpone(self, person_id: str, look_up: RegisterLookUp) -> None:
        now = self.ports.now()
        due_at = now + retry_delay(look_up.attempts)
        self.ports.persons.change(
            person_id, lambda each: each.postpone_look_up(look_up, due_at), now
        )

    def _rest(self) -> None:
        self._rests_until = self.ports.now() + min(retry_delay(self._failures), _LONGEST_REST)
        self._failures += 1

    def _report_failure(self, look_up: RegisterLookUp, error: BrokerError) -> None:
        facts = {
            "reason": error.reason,
            "cause": str(error),
            "setting": error.setting,
            "attempts": look_up.attempts + 1,
        }
        self.ports.tell(BrokerEvent(EventKind.REGISTER_DELAYED, facts))

    def _record(self, kind: AuditEventKind, person_id: str, reason: str) -> None:
        event = AuditEvent(kind, self.ports.now(), person=person_id, reason=reason)
        self.ports.tell(event)
