"""Cases as they are listed for staff, each by its key: nothing personal is in one."""

import secrets
from dataclasses import dataclass, replace

from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.entities import Names
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, Trail
from broker.use_cases.borrowers.enrolment_records import (
    EnrolmentDraft,
    EnrolmentRecords,
    StoredEnrolment,
)


@dataclass(frozen=True, slots=True)
class ListedCase:
    """A case as it is listed: its reason, a pseudonym, and the numbers of the borrowers."""

    reason: str
    person: str
    borrowers: Names = ()
    link: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ListedCases:
    """Writes cases, and what becomes of them on the trail."""

    records: EnrolmentRecords
    trail: Trail

    def write(self, key: Key, listed: ListedCase) -> Enrolment:
        """List a case and return it.

        Its id is the same only as long as it says the same, for staff decide by an id that they
        have seen. StoreUnavailable.
        """
        is_new = True

        def drafted(entry: StoredEnrolment | None) -> EnrolmentDraft:
            nonlocal is_new
            case = self._drafted(listed)
            is_new = entry is None or _is_another(entry, case)
            if entry and entry.enrolment.reason == case.reason:
                case = replace(case, wanted_at=entry.enrolment.wanted_at)
            if entry and not is_new:
                case = replace(case, id=entry.enrolment.id)
            return case, None

        written = self.records.decide(key, drafted).record
        if written is None:
            raise StoreUnavailable("a case was not written")
        if is_new:
            self.record(AuditEventKind.ENROLMENT_CASE, key.group, written.value)
        return written.value

    def record(self, kind: AuditEventKind, person: str, enrolment: Enrolment) -> None:
        """Write on the trail what became of a case."""
        self.trail.add(
            AuditEvent(
                kind, self.records.now(), person=person, reason=enrolment.reason, about=enrolment.id
            )
        )

    def _drafted(self, listed: ListedCase) -> Enrolment:
        return Enrolment(
            id=secrets.token_hex(16),
            state=EnrolmentState.CASE,
            wanted_at=self.records.now(),
            wish=None,
            person=listed.person,
            reason=listed.reason,
            link=listed.link,
            borrowers=listed.borrowers,
            cause=listed.cause,
        )


def _is_another(entry: StoredEnrolment, case: Enrolment) -> bool:
    """Return whether ``case`` is another to staff than the one that is listed in its place."""
    return _told(case) != _told(entry.enrolment)


def _told(case: Enrolment) -> tuple[object, ...]:
    """Return what staff decide by: of a number that came meanwhile they have decided nothing."""
    # The library system may find the same borrowers in another order.
    borrowers = frozenset(case.borrowers)
    return (case.reason, case.person, case.link, borrowers)
