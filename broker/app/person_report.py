"""What is kept about a person, as they may ask for it (GDPR articles 15 and 19)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from broker.adapters.telling import sealed_message_log
from broker.app.assembly import Parts, now
from broker.app.person_operations import PersonDesk
from broker.core.consent.consent import Receipt
from broker.core.entities import Controller
from broker.core.identity.cpr import blotted
from broker.core.logout.sessions import Session
from broker.core.person_record import PersonRecord
from broker.core.retention.rows import Retention, spelled
from broker.core.retention.table import DECLINED, FORGOTTEN, LIMIT, TRAIL_KEY
from broker.use_cases.persons.legible_records import Unread
from broker.use_cases.persons.person_search import FoundPerson
from broker.use_cases.persons.their_records import TheirRecord
from broker.use_cases.records import dump

Row = Mapping[str, Any]

_BLOT: Final = "******-****"
# Whoever reads over the person's shoulder must not be let in by it.
_UNSHOWN: Final = frozenset({"pin", "code", "link", "pin_avoids"})
_NOT_SHOWN: Final = "kept, not shown"
_RIGHTS: Final = (
    "What is wrong can be put right, erased or kept from use, and you can object to its use (GDPR "
    "articles 16 to 18 and 21): ask the library. A consent can be withdrawn on the page my choices "
    "at any time; what was sent before stays lawful. A refusal below was decided by a program, by "
    "the rule that is named: you can ask the library for a person who looks at it again (article "
    "22). You can complain to the supervisory authority, in Denmark Datatilsynet: datatilsynet.dk."
)


def report(desk: PersonDesk, person: FoundPerson) -> dict[str, Any]:
    """Return everything that is kept about a person, and what the law adds to it.

    CPR numbers are masked, PINs and codes left out.
    """
    moment = now()
    records = desk.records.of(person, moment)
    events = [_event(each) for each in desk.search.trail.events(person.trail, moment)]
    counted = desk.counters.counted(person, records, moment)
    return {
        "made": moment.isoformat(timespec="seconds"),
        "broker": desk.parts.config.base_url,
        "controller": _library(desk.parts),
        "kept": [_record(each) for each in records],
        "unread": list(_unread(desk.records.unread(moment))),
        "counted": [_counter(key.name, total) for key, total in counted],
        "events": events,
        "events_kept": f"{spelled(TRAIL_KEY.span)} from the first of a month; {TRAIL_KEY.why}",
        "sources": sorted(_sources(records, events)),
        "recipients": list(recipients(desk.parts, records, events)),
        "refusals": [each for each in events if each.get("event") == "refused"],
        "not_covered": list(not_covered(desk.parts)),
        "rights": [f"{sentence}." for sentence in _RIGHTS.removesuffix(".").split(". ")],
    }


def recipients(
    parts: Parts, records: Iterable[TheirRecord], events: Iterable[Row]
) -> Iterator[Row]:
    """Yield each service that was sent something, by name, with who is responsible for it.

    They are told when the person is forgotten (article 19).
    """
    sent: dict[str, str] = {}
    for record in records:
        if isinstance(record.fact, Session):
            sent[record.fact.service] = record.fact.at.isoformat(timespec="seconds")
    for event in events:
        if event.get("event") == "released" and event.get("service"):
            sent[str(event["service"])] = str(event.get("at"))
    for name, last in sorted(sent.items()):
        service = parts.services.get(name)
        if service is None:
            yield {"service": name, "name": name, "last": last, "gone": True}
            continue
        responsible = _controller(service.controller)
        yield {"service": name, "name": service.label.en, "last": last, **responsible}


def not_covered(parts: Parts) -> Iterator[str]:
    """Yield what is kept elsewhere about the person, and is neither shown nor forgotten here."""
    system = parts.config.library.system
    yield f"The library system ({system}): the borrower's record, loans and fees; ask the library."
    yield "The services and the way of logging in: what they keep themselves; ask each of them."
    if parts.config.message_log is not None:
        days = sealed_message_log.KEPT_FOR.days
        yield f"The message log: every message, sealed, for {days} days; its key is elsewhere."
    if not parts.config.store.url.startswith("sqlite:"):
        yield (
            "The audit trails of other machines: their lines are not read here; the keys that "
            "open them lie in the store that they share."
        )
    yield "The application log, which holds no personal value."
    yield "Backups, until they end: see docs/privacy.md."


def left(parts: Parts) -> Iterator[Row]:
    """Yield what stays after a person was forgotten, why, and until when."""
    yield _left("the borrower in the library system", "the library decides", "as it says")
    yield _left("lines of the audit trail", "they are nobody's without the keys", "each month")
    looks = "who works here answers for them to whoever was looked at"
    yield _left("what they did and looked at as staff", looks, TRAIL_KEY.for_long)
    yield _left("that the login is over", "a page that is open delivers nothing", "33 minutes")
    yield _left("hashes of a CPR number in a pause of creates", "see docs/privacy.md", "1 day")
    yield _left("wrong PINs of an own browser, as a number", "its name is in its cookie", "1 year")
    years = spelled(FORGOTTEN.span)
    yield _left("the person ids and the time", "a backup put back is forgotten again", years)
    for sentence in not_covered(parts):
        yield _left(sentence, "not the broker's to forget", "as it says")


def _left(what: str, why: str, until: str) -> Row:
    return {"what": what, "why": why, "for": until}


def _record(record: TheirRecord) -> Row:
    return {
        **_row(record.row),
        "until": record.until.isoformat(timespec="seconds"),
        "value": _masked(json.loads(dump(record.fact)[1:])),
    }


def _unread(unread: Unread) -> Iterator[str]:
    for kind, count in sorted(unread.counts.items()):
        if count == 1:
            yield f"a record of the kind {kind} cannot be read: it may be about the person"
        else:
            what = "cannot be read: they may be about the person"
            yield f"{count} records of the kind {kind} {what}"


def _counter(name: str, total: int) -> Row:
    return {**_row(LIMIT if name else DECLINED), "value": total}


def _row(row: Retention) -> Row:
    return {
        "kind": row.kind,
        "what": row.holds,
        "why": row.why,
        "how_long": row.for_long,
        "from": row.since,
    }


def _event(event: Row) -> Row:
    return {name: _masked(value) for name, value in event.items()}


def _masked(value: Any) -> Any:
    """Return a value without CPR numbers, and without what lets somebody in."""
    if isinstance(value, str):
        return blotted(value, _BLOT)
    if isinstance(value, Mapping):
        shown = ((name, each) for name, each in value.items() if each not in (None, [], ""))
        return {name: _NOT_SHOWN if name in _UNSHOWN else _masked(each) for name, each in shown}
    if isinstance(value, Sequence):
        return [_masked(each) for each in value]
    return value


def _sources(records: Iterable[TheirRecord], events: Iterable[Row]) -> set[str]:
    found = {str(event["institution"]) for event in events if event.get("institution")}
    found |= {str(event["upstream"]) for event in events if event.get("upstream")}
    found |= {each.fact.upstream for each in records if isinstance(each.fact, Session)}
    if any(isinstance(each.fact, Receipt) for each in records):
        found.add("you, on the pages of the broker")
    if any(isinstance(each.fact, PersonRecord) and each.fact.register_asked_at for each in records):
        found.add("the register of persons (CPR)")
    return found


def _library(parts: Parts) -> Row:
    contact = parts.config.contact
    called = contact.called()
    return {
        "name": called.en if called else "the library",
        "contact": contact.email or contact.phone,
        "data_protection_officer": contact.dpo,
    }


def _controller(controller: Controller | None) -> Row:
    if controller is None:
        return {}
    return {"controller": controller.name.en, "contact": controller.contact}
