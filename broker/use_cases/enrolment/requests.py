"""Stores what a login requests, and waits until the worker has carried it out."""

import secrets
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from broker.core.borrowers.enrolment import Claim, Enrolment, EnrolmentState
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryUnavailable
from broker.core.events.audit_events import AuditEventKind
from broker.core.person_record import PersonRecord
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.library_system.guarded_library import WaitingSlot
from broker.use_cases.storage.worker_loop import WakeSignal

# Another process carries the enrolment out, so it is looked for every so many seconds.
_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class EnrolmentRequests:
    """Stores requests for the worker.

    ``sleep`` pauses for some seconds. ``waiting_slot`` limits the requests that wait. ``wake``
    tells the worker of this machine that an enrolment is due.
    """

    ports: EnrolmentPorts
    wake: WakeSignal
    sleep: Callable[[float], object]
    waiting_slot: WaitingSlot = nullcontext

    def request(
        self, person_id: str, wanted: WantedBorrower, claim: Claim | None = None
    ) -> Enrolment | None:
        """Store that a login requests ``wanted``, and return the pending enrolment.

        ``claim`` is the borrower that the person has shown to be theirs. Raises AuditUnavailable,
        with nothing stored, if the audit log cannot record the request.
        """
        ports = self.ports
        now = ports.now()

        def change(person: PersonRecord) -> PersonRecord:
            before = person.enrolment
            requested = (before or new_enrolment(ports, wanted)).add_request(wanted, now)
            if claim:
                requested = requested.claim(claim, now)
            asked = (requested.wanted, requested.claimed)
            if before and is_under_way(before) and (before.wanted, before.claimed) == asked:
                return person  # a reload of the page
            ports.record_event(AuditEventKind.ENROLMENT_WANTED, person_id, requested)
            return person.set_enrolment(requested)

        changed = ports.persons.change(person_id, change, now)
        self.wake.set()
        return changed.value.enrolment if changed else None

    def wait(self, person_id: str, seconds: float) -> Enrolment | None:
        """Return the enrolment when it is no longer in progress, or as it is after ``seconds``.

        It returns at once if half of the threads wait already, or if the enrolment has failed.
        """
        enrolment = self.read(person_id)
        with suppress(LibraryUnavailable), self.waiting_slot():
            for _ in range(round(seconds / _PAUSE)):
                if not is_under_way(enrolment):
                    break
                self.sleep(_PAUSE)
                enrolment = self.read(person_id)
        return enrolment

    def read(self, person_id: str) -> Enrolment | None:
        """Return the enrolment of a person as it is stored, or None."""
        record = self.ports.persons.read(person_id, self.ports.now())
        return record.value.enrolment if record else None


def is_under_way(enrolment: Enrolment | None) -> bool:
    """Return whether an enrolment is pending and has not failed."""
    if enrolment is None or enrolment.state is not EnrolmentState.PENDING:
        return False
    return not enrolment.has_failed


def new_enrolment(ports: EnrolmentPorts, wanted: WantedBorrower | None) -> Enrolment:
    """Return a pending enrolment that is due now."""
    now = ports.now()
    return Enrolment(secrets.token_hex(16), EnrolmentState.PENDING, now, wanted, next_attempt=now)
