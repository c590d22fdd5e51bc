"""The ports of enrolments, and what all of them share: deadlines, hashes and audit events."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.audit_events import NO_TRAIL, AuditEvent, AuditEventKind
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.enrolment import Enrolment
from broker.core.event_routes import TellPort, told_nobody
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import LibrarySystem, Trail
from broker.use_cases.person_records import PersonRecords

# A call of the worker may take so long; a request waits less.
CALL: Final = timedelta(seconds=15)
REQUEST_CALL: Final = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class EnrolmentPorts:
    """Library system, person records and audit log.

    ``trust_for`` is how long an answer of the library system counts.
    """

    library: LibrarySystem
    persons: PersonRecords
    hmacs: LookupHmacs
    now: Callable[[], datetime]
    trust_for: timedelta = timedelta(minutes=10)
    trail: Trail = NO_TRAIL
    log: TellPort = told_nobody
    make_id: Callable[[], str] = lambda: secrets.token_hex(16)

    def hash_facts(self, person: PersonFacts) -> str:
        """Return the keyed hash of the facts that a borrower was compared with."""
        return self.hmacs.of("person-facts", *person.folded())

    def hash_wanted(self, wanted: Wish) -> str:
        """Return the keyed hash of a wanted borrower without its expiry, which moves every day."""
        parts = [wanted.affiliation, wanted.category, ",".join(wanted.upgrades)]
        parts += [wanted.cpr or "", *wanted.person.folded()]
        for field in wanted.fields:
            parts += [field.name, field.value, field.set]
        return self.hmacs.of("wanted-borrower", *parts)

    def record_event(
        self, kind: AuditEventKind, person_id: str, enrolment: Enrolment, reason: str | None = None
    ) -> None:
        """Write an event of an enrolment to the audit log."""
        event = AuditEvent(kind, self.now(), person=person_id, reason=reason, about=enrolment.id)
        self.trail.add(event)
