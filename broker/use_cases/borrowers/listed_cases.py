"""Cases and notices as they are listed for staff, each by its key: nothing personal is in one."""

import secrets
from collections.abc import Callable
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
from broker.use_cases.identity.person_links import PersonLinks


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
    """Writes cases and notices, and what becomes of them on the trail."""

    records: EnrolmentRecords
    links: PersonLinks
    trail: Trail

    def write(
        self,
        key: Key,
        say: Callable[[Enrolment | None], ListedCase],
        state: EnrolmentState = EnrolmentState.CASE,
    ) -> Enrolment:
        """List what ``say`` makes of the case or notice as it stands, and return it.

        It is asked again where another writes first: what that wrote is not lost. The id of a
        notice is the same as long as it is listed; that of a case only as long as it says the same,
        for what staff decide by an id they have seen. StoreUnavailable.
        """
        is_new = True

        def drafted(entry: StoredEnrolment | None) -> EnrolmentDraft:
            nonlocal is_new
            case = self._drafted(say(entry.enrolment if entry else None), state)
            is_new = entry is None or _is_another(entry, case)
            if entry and entry.enrolment.reason == case.reason:
                case = replace(case, wanted_at=entry.enrolment.wanted_at)
            if entry and (state is EnrolmentState.NOTICE or not is_new):
                case = replace(case, id=entry.enrolment.id)
            return case, None

        written = self.records.decide(key, drafted).record
        if written is None:
            raise StoreUnavailable("a case was not written")
        if is_new:
            person = self.links.holder(key.group)
            self.record(AuditEventKind.ENROLMENT_CASE, person, written.value)
        return written.value

    def record(self, kind: AuditEventKind, person: str, enrolment: Enrolment) -> None:
        """Write on the trail what became of a case."""
        self.trail.add(
            AuditEvent(
                kind, self.records.now(), person=person, reason=enrolment.reason, about=enrolment.id
            )
        )

    def _drafted(self, listed: ListedCase, state: EnrolmentState) -> Enrolment:
        return Enrolment(
            id=secrets.token_hex(16),
            state=state,
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
    before = entry.enrolment
    if case.state is EnrolmentState.NOTICE:
        return before.reason != case.reason
    return _told(case) != _told(before)


def _told(case: Enrolment) -> tuple[object, ...]:
    """Return what staff decide by: of a number that came meanwhile they have decided nothing."""
    # The library system may find the same borrowers in another order.
    borrowers = frozenset(case.borrowers)
    return (case.reason, case.person, case.link, borrowers)
