"""The personal data of a broker: its ports, and the person that a command or a login names."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.event_search import EventSearch
from broker.adapters.observability import sealed_message_log
from broker.app.assembly import Parts, now
from broker.configuration import durable_files
from broker.core.borrowers.pins import read_identifier
from broker.core.entities import Names
from broker.core.errors import LeadsNowhere, StoreUnavailable
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.person_id import compute_person_id_of_cpr, compute_person_id_of_identifier
from broker.use_cases.personal_data.stored_data import ForgottenLine, PersonIds, StoredData

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


class NoPerson(LeadsNowhere):
    """Nothing is stored about what was named; it is quoted nowhere, as it may be a CPR number."""

    about = "person"


@dataclass(frozen=True, slots=True)
class ForgottenFile:
    """``forgotten.log`` in the state folder: a line of time and person id for each deletion."""

    state: Path

    def add(self, person_ids: Names, at: datetime) -> None:
        """Append one line for each person id, through to the disk."""
        # The line before may have been cut short.
        lines = "".join(f"\n{at.isoformat()} {person_id}\n" for person_id in person_ids)
        descriptor = os.open(self._path, _APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(lines.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        durable_files.synced(self.state)

    def read(self) -> Iterator[ForgottenLine]:
        """Yield the lines; one that was cut short is left out: its deletion was not confirmed."""
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="ascii").splitlines():
            at, _, person_id = line.partition(" ")
            try:
                yield ForgottenLine(datetime.fromisoformat(at), person_id)
            except ValueError:
                continue

    @property
    def _path(self) -> Path:
        return self.state / "forgotten.log"


@dataclass(frozen=True, slots=True)
class MachineAuditLog:
    """The audit log of this machine as the port ``PersonAuditLog``."""

    kept: StoredAuditLog
    search: EventSearch

    def list_events(self, person: PersonIds, now: datetime) -> Iterator[Mapping[str, Any]]:
        """Return the events that the person's keys open, oldest first."""
        return self.search.find_by_groups(self._groups(person), now)

    def erase(self, person: PersonIds, before: datetime | None, now: datetime) -> int:
        """Delete the person's keys, and write how many there were."""
        keys = self.kept.person_keys
        count = sum(keys.erase(group, now, before) for group in self._groups(person))
        if count:
            self.kept.add(AuditEvent(AuditEventKind.PERSON_ERASED, now, count=count))
        return count

    def _groups(self, person: PersonIds) -> Names:
        keys = self.kept.person_keys
        of_numbers = map(keys.borrower_group, person.borrower_numbers)
        return (*map(keys.person_group, person.ids), *of_numbers)


def open_stored_data(parts: Parts) -> StoredData:
    """Return the stored data of persons over the parts of a broker."""
    kept = parts.audit_log
    search = EventSearch(kept.files, kept.person_keys)
    audit_log = MachineAuditLog(kept, search)
    persons = parts.enrolment_ports.persons
    forgotten = ForgottenFile(parts.config.state)
    return StoredData(persons, audit_log, forgotten, parts.services, now)


def find_person(
    parts: Parts,
    *,
    typed: str = "",
    login: tuple[str, str, str] | None = None,
    borrower: str | None = None,
) -> PersonIds:
    """Return the person of a CPR number, a borrower number or an identifier.

    ``login`` is the upstream, institution and type of the identifier that was ``typed``. NoPerson
    where nothing is stored.
    """
    data = open_stored_data(parts)
    index = parts.keys.index
    if borrower is not None:
        person = data.find_of_borrower(borrower.strip())
    elif login is not None:
        person_id = compute_person_id_of_identifier(index, *login, typed.strip())
        person = data.find_of_person(person_id)
    elif looks_like_cpr(typed, apart=True) and (cpr := read_identifier(typed)):
        person = data.find_of_person(compute_person_id_of_cpr(index, cpr))
    else:
        raise NoPerson("this is no CPR number; say with --login what it is an identifier of")
    if not data.list_records(person) and not data.list_events(person):
        raise NoPerson("nothing is stored about this person")
    return person


def forget(parts: Parts, person: PersonIds) -> Sequence[str]:
    """Delete everything about a person, also from the files of the store.

    Return in sentences what is still in those files, and how to remove it.
    """
    open_stored_data(parts).forget(person)
    return _purge(parts)


def replay(parts: Parts) -> tuple[int, Sequence[str]]:
    """Delete again what a restored backup brought back: how many person ids, and what is left."""
    count = open_stored_data(parts).replay()
    return count, _purge(parts)


def _purge(parts: Parts) -> Sequence[str]:
    while parts.store.sweep(now()):
        pass
    return parts.store.purge()


def list_remains(parts: Parts) -> Iterator[str]:
    """Yield what stays after a deletion, here until when, and elsewhere."""
    yield "the borrower in the library system, with loans and fees: the library decides"
    yield "what services and the way of logging in keep themselves: ask each of them"
    yield "the lines of the audit log, which nobody can open without the keys"
    yield "what staff did and looked at, under their own keys: 2 years"
    yield "the mark that the login is over: 33 minutes"
    yield "codes that were mailed, and what is counted: a day; PIN links: 7 days at most"
    yield "the person ids and the time, in forgotten.log: as long as there are older backups"
    yield "the application log, which holds no personal value"
    if parts.config.message_log is not None:
        yield f"the message log, sealed: {sealed_message_log.KEPT_FOR.days} days"
    if not parts.config.store.url.startswith("sqlite:"):
        yield "the audit logs of other machines, whose lines are not read here"


def findings(parts: Parts) -> tuple[str, ...]:
    """Return in a sentence how many deleted persons a restored backup has brought back."""
    try:
        count = open_stored_data(parts).count_restored()
    except StoreUnavailable:
        return ()  # a fault of the store
    except OSError as error:
        return (f"person: forgotten.log cannot be read: {error.strerror}",)
    if not count:
        return ()
    return (
        f"person: {count} deleted person records are there again: broker person forget --replay",
    )
