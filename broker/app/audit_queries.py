"""What staff ask of the audit trail over a broker's parts: verify, events, erase, accept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.adapters.trail.audit_trail import KeptTrail
from broker.adapters.trail.event_search import EventSearch
from broker.adapters.trail.monthly_files import TrailFiles
from broker.adapters.trail.verification import VerificationReport, verify
from broker.app.assembly import Parts, now
from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.link_evidence import PersonLink
from broker.core.serialization import load


def journal(parts: Parts) -> TrailFiles:
    """Give the files of the trail; ConfigurationFaults where none is kept."""
    return _kept(parts).journal


def verified(parts: Parts) -> VerificationReport:
    """Check the whole trail, against what the store remembers of it too."""
    kept = _kept(parts)
    return verify(kept.journal, kept.anchors.links(now()))


def anchored_in_store(folder: Path, key: Path) -> VerificationReport:
    """Check a copy of a trail with nothing but its key, as an auditor does; it is not written to."""
    return verify(TrailFiles(folder, key.read_bytes()))


def accepted(parts: Parts) -> int:
    """Write that what ``verified`` finds has been seen, and give how much that is."""
    kept, report = _kept(parts), verified(parts)
    if report.findings:
        kept.journal.accept(now(), [each.mark for each in report.findings])
        kept.anchors.forget(report.number, now())
    return len(report.findings)


def events(
    parts: Parts, *, reference: str | None = None, borrower: str | None = None
) -> Sequence[Mapping[str, Any]]:
    """Give the events of a page's reference, or of a borrower."""
    kept = _kept(parts)
    reader = EventSearch(kept.journal, kept.sealing, parts.store)
    if reference is not None:
        return tuple(reader.by_reference(reference, now()))
    return tuple(reader.of(_groups(parts, kept, borrower or ""), now()))


def erased(parts: Parts, *, reference: str | None = None, borrower: str | None = None) -> int:
    """Delete every key of the person of a page's reference, or of a borrower, and give how many there were."""
    kept, moment = _kept(parts), now()
    if reference is not None:
        groups = EventSearch(kept.journal, kept.sealing, parts.store).groups_of(reference, moment)
    else:
        groups = _groups(parts, kept, borrower or "")
    count = sum(kept.sealing.erase(group, moment) for group in groups)
    kept.add(AuditEvent(AuditEventKind.PERSON_ERASED, moment, count=count))
    return count


def _groups(parts: Parts, kept: KeptTrail, borrower: str) -> tuple[str, ...]:
    """Give what the keys of a borrower's events are kept under: of the number, and of everyone whose links lead there.

    Who logs in by PIN has a link of the account's own, which holds no number. An enrolment that no
    link leads to is under its own key.
    """
    links = {
        key.group: load(PersonLink, each.value)
        for key, each in parts.store.list("link", None, now())
    }
    own = {name: link for name, link in links.items() if link.number == borrower}
    own |= {name: links[name] for name in (parts.links.of_borrower(borrower),) if name in links}
    cprs = {link.cpr for link in own.values() if link.cpr}
    persons = {link.person for name, link in links.items() if name in own or link.cpr in cprs}
    persons |= {
        row.key.group
        for row in parts.enrolments.ports.records.all()
        if row.enrolment.number == borrower
    }
    return (
        kept.sealing.of_borrower(borrower),
        *(kept.sealing.of_person(each) for each in sorted(persons)),
    )


def _kept(parts: Parts) -> KeptTrail:
    if not isinstance(parts.trail, KeptTrail):
        raise ConfigurationFaults([Fault("audit.on", "is false: no trail is kept")])
    return parts.trail
