"""What staff ask of the audit trail of a broker: verify, show, erase, accept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.event_search import EventSearch
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.verification import VerificationReport, verify
from broker.app.assembly import Parts, now
from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.use_cases.staff import staff_sessions


def journal(parts: Parts) -> AuditFiles:
    """Return the files of the trail."""
    return parts.trail.journal


def verified(parts: Parts) -> VerificationReport:
    """Verify the whole trail, against what the store remembers of it too."""
    trail = parts.trail
    return verify(trail.journal, trail.anchors.links(now()))


def anchored_in_store(folder: Path, key: Path) -> VerificationReport:
    """Verify a copy of a trail with its key alone, as an auditor does; it is not written to."""
    return verify(AuditFiles(folder, key.read_bytes()))


def accepted(parts: Parts) -> int:
    """Write that the findings of ``verified`` have been seen, and return how many there are."""
    trail = parts.trail
    report = verified(parts)
    if report.findings:
        trail.journal.accept(now(), [finding.mark for finding in report.findings])
        trail.anchors.forget(report.number, now())
    return len(report.findings)


def events(
    parts: Parts,
    *,
    reference: str | None = None,
    borrower: str | None = None,
    staff: str | None = None,
) -> Sequence[Mapping[str, Any]]:
    """Return the events of a page's reference, of a borrower, or what an eppn of staff looked at.

    Oldest first. ConfigurationFaults where there is no staff view.
    """
    trail = parts.trail
    search = _search(parts, trail)
    if reference is not None:
        return tuple(search.by_reference(reference, now()))
    if staff is not None:
        group = trail.person_keys.of_person(_of_staff(parts, staff))
        return tuple(search.of((group,), now()))
    groups = _groups(parts, trail, borrower or "")
    return tuple(search.of(groups, now()))


def erased(parts: Parts, *, reference: str | None = None, borrower: str | None = None) -> int:
    """Delete every key of the person of a page's reference, or of a borrower; return how many."""
    trail = parts.trail
    moment = now()
    if reference is not None:
        groups = _search(parts, trail).groups_of(reference, moment)
    else:
        groups = _groups(parts, trail, borrower or "")
    count = sum(trail.person_keys.erase(group, moment) for group in groups)
    trail.add(AuditEvent(AuditEventKind.PERSON_ERASED, moment, count=count))
    return count


def _search(parts: Parts, trail: StoredAuditLog) -> EventSearch:
    return EventSearch(trail.journal, trail.person_keys, parts.store)


def _groups(parts: Parts, trail: StoredAuditLog, borrower: str) -> tuple[str, ...]:
    """Return the groups of the keys of a borrower's events: of the number, and of its persons."""
    keys = trail.person_keys
    persons = _persons(parts, borrower)
    return (keys.of_borrower(borrower), *map(keys.of_person, sorted(persons)))


def _persons(parts: Parts, borrower: str) -> set[str]:
    """Return the persons who have been served as a borrower: by CPR number, or by its PIN."""
    records = parts.enrolment_ports.persons.list_all(now())
    persons = {each.key.group for each in records if each.value.borrower_number == borrower}
    return persons | {compute_person_id_of_borrower(parts.keys.index, borrower)}


def _of_staff(parts: Parts, eppn: str) -> str:
    admin = parts.config.admin
    if admin is None:
        raise ConfigurationFaults([Fault("admin", "is not there: there is no staff view")])
    return staff_sessions.staff_id_of(parts.keys.index, admin.rules(), eppn)
