"""The export of everything that is stored about a person (GDPR articles 15 and 19)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from broker.core import retention
from broker.core.entities import Service
from broker.core.identity.cpr import mask_numbers
from broker.core.logout.sessions import Session
from broker.core.person_record import PersonRecord
from broker.core.retention import Retention, spelled
from broker.use_cases.personal_data.stored_data import StoredRecord
from broker.use_cases.records import dump

Row = Mapping[str, Any]

_MASK: Final = "******-****"
# A stranger who reads over the person's shoulder must not be let in by it.
_SECRET: Final = frozenset({"text", "secret_hash"})
_NOT_SHOWN: Final = "kept, not shown"
_RIGHTS: Final = (
    "What is wrong can be corrected or deleted: ask the library (GDPR articles 16 to 18).",
    "You can object to its use: ask the library (article 21).",
    "A consent can be withdrawn on the page my choices; what was sent before stays lawful.",
    "A program decided the refusals below. A person can look at them again (article 22).",
    "You can complain to the supervisory authority, in Denmark Datatilsynet: datatilsynet.dk.",
)
_FROM: Final = ("institution", "upstream")
# Parts of the person record that have rows of their own.
_PARTS: Final[Mapping[str, Retention]] = {
    "receipts": retention.RECEIPT,
    "proofs": retention.PROOF,
    "browsers": retention.KNOWN_BROWSER,
}


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What the export says besides the records: the controller, the services, other places."""

    base_url: str
    controller: Row
    services: Mapping[str, Service]
    not_covered: Sequence[str]


def build_report(
    records: Iterable[StoredRecord], events: Sequence[Row], context: ReportContext, now: datetime
) -> dict[str, Any]:
    """Return everything that is stored about a person, and what the law adds to it.

    CPR numbers are masked. Mail texts and secrets are left out.
    """
    records = tuple(records)
    return {
        "made": now.isoformat(timespec="seconds"),
        "broker": context.base_url,
        "controller": context.controller,
        "kept": [row for record in records for row in _describe(record)],
        "events": [_masked(event) for event in events],
        "events_kept": f"{spelled(retention.TRAIL_KEY.span)} from the first of a month",
        "sources": sorted(_sources(records, events)),
        "recipients": list(_recipients(records, events, context.services)),
        "refusals": [_masked(each) for each in events if each.get("event") == "refused"],
        "not_covered": list(context.not_covered),
        "rights": list(_RIGHTS),
    }


def write_text(report: Row) -> str:
    """Return the export as lines of text."""
    return "\n".join(_lines(report)) + "\n"


def flatten(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the facts of a part of the export: a name, and what it says."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from flatten(each, f"{name} {key}".strip())
    elif isinstance(value, list):
        for each in value:
            yield from flatten(each, name)
    else:
        yield name.replace("_", " "), str(value)


def _lines(report: Row) -> Iterator[str]:
    for heading, part in report.items():
        yield f"{heading.replace('_', ' ')}:"
        entries = part if isinstance(part, list) else [part]
        for entry in entries:
            facts = (f"{name}: {said}" if name else said for name, said in flatten(entry))
            yield "- " + "; ".join(facts)


def _describe(record: StoredRecord) -> Iterator[Row]:
    """Yield the rows of one record; those of the person record part by part."""
    value = json.loads(dump(record.fact)[1:])
    if isinstance(record.fact, PersonRecord):
        for part, row in _PARTS.items():
            content = value.pop(part)
            if content:
                yield _row(part, row, record, content)
    yield _row(record.row.kind, record.row, record, value)


def _row(part: str, row: Retention, record: StoredRecord, value: Any) -> Row:
    return {
        "kind": part,
        "what": row.holds,
        "why": row.why,
        "how_long": row.for_long,
        "from": row.since,
        "until": record.until.isoformat(timespec="seconds"),
        "value": _masked(value),
    }


def _masked(value: Any) -> Any:
    """Return a value without CPR numbers, and without what lets somebody in."""
    if isinstance(value, str):
        return mask_numbers(value, _MASK)
    if isinstance(value, Mapping):
        shown = ((name, each) for name, each in value.items() if each not in (None, [], {}, ""))
        return {name: _NOT_SHOWN if name in _SECRET else _masked(each) for name, each in shown}
    if isinstance(value, Sequence):
        return [_masked(each) for each in value]
    return value


def _recipients(
    records: Iterable[StoredRecord], events: Iterable[Row], services: Mapping[str, Service]
) -> Iterator[Row]:
    """Yield each service that was sent something; they are told of a deletion (article 19)."""
    sent: dict[str, str] = {}
    for record in records:
        if isinstance(record.fact, Session):
            sent[record.fact.service] = record.fact.at.isoformat(timespec="seconds")
    for event in events:
        if event.get("event") == "released" and event.get("service"):
            sent[str(event["service"])] = str(event.get("at"))
    for name, last in sorted(sent.items()):
        service = services.get(name)
        row = {"service": name, "name": service.label.en if service else name, "last": last}
        if service is None:
            row["gone"] = "no longer configured"
        elif service.controller:
            row["controller"] = service.controller.name.en
            row["contact"] = service.controller.contact
        yield row


def _sources(records: Iterable[StoredRecord], events: Iterable[Row]) -> set[str]:
    named = {str(event[name]) for event in events for name in _FROM if event.get(name)}
    for record in records:
        if isinstance(record.fact, Session):
            named.add(record.fact.upstream)
        if isinstance(record.fact, PersonRecord):
            if record.fact.receipts:
                named.add("you, on the pages of the broker")
            if record.fact.register_asked_at:
                named.add("the register of persons (CPR)")
    return named
