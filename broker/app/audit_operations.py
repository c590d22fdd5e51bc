"""What staff ask of the audit log of a broker: verify, show, erase, accept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.event_search import EventSearch
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.verification import VerificationReport, verify
from broker.app.assembly import Parts, now
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.use_cases.staff import staff_sessions


def audit_files(parts: Parts) -> AuditFiles:
    """Return the files of the audit log."""
    return parts.audit_log.files


def verified(parts: Parts) -> VerificationReport:
    """Verify the whole audit log, against what the store remembers of it too."""
    audit_log = parts.audit_log
    return verify(audit_log.files, audit_log.anchors.links(now()))


def anchored_in_store(folder: Path, key: Path) -> VerificationReport:
    """Verify a copy of a audit log with its key alone, as an auditor does; it is not written to."""
    return verify(AuditFiles(folder, key.read_bytes()))


def accepted(parts: Parts) -> int:
    """Write that the findings of ``verified`` have been seen, and return how many there are."""
    audit_log = parts.audit_log
    report = verified(parts)
    if report.findings:
        audit_log.files.accept(now(), [finding.mark for finding in report.findings])
        audit_log.anchors.drop_after(report.number, now())
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
    audit_log = parts.audit_log
    search = _search(audit_log)
    if reference is not None:
        return tuple(search.find_by_reference(reference, now()))
    if staff is not None:
        group = audit_log.person_keys.person_group(_of_staff(parts, staff))
        return tuple(search.find_by_groups((group,), now()))
    groups = _groups(parts, audit_log, borrower or "")
    return tuple(search.find_by_groups(groups, now()))


def erased(parts: Parts, *, reference: str | None = None, borrower: str | None = None) -> int:
    """Delete every key of the person of a page's reference, or of a borrower; return how many."""
    audit_log = parts.audit_log
    moment = now()
    if reference is not None:
        groups = _search(audit_log).list_groups(reference, moment)
    else:
        groups = _groups(parts, audit_log, borrower or "")
    count = sum(audit_log.person_keys.erase(group, moment) for group in groups)
    audit_log.add(AuditEvent(AuditEventKind.PERSON_ERASED, moment, count=count))
    return count


def _search(audit_log: StoredAuditLog) -> EventSearch:
    return EventSearch(audit_log.files, audit_log.person_keys)


def _groups(parts: Parts, audit_log: StoredAuditLog, borrower: str) -> tuple[str, ...]:
    """Return the groups of the keys of a borrower's events: of the number, and of its persons."""
    keys = audit_log.person_keys
    persons = _persons(parts, borrower)
    return (keys.borrower_group(borrower), *map(keys.person_group, sorted(persons)))


def _persons(parts: Parts, borrower: str) -> set[str]:
    """Return the persons who have been served as a borrower: by CPR number, or by its PIN."""
    records = parts.enrolment_ports.persons.list_all(now())
    persons = {each.key.group for each in records if each.value.borrower_number == borrower}
    return persons | {compute_person_id_of_borrower(parts.keys.index, borrower)}


def _of_staff(parts: Parts, eppn: str) -> str:
    rules = parts.config.staff_rules()
    if rules is None:
        raise ConfigurationFaults([Fault("admin", "is not there: there is no staff view")])
    return staff_sessions.staff_id_of(parts.keys.index, rules, eppn)
