"""The audit log of this machine by person, and ``forgotten.log``: which persons were deleted."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.event_search import EventSearch
from broker.adapters.audit_log.hash_chain import Facts
from broker.configuration import durable_files
from broker.core.entities import Names
from broker.core.events.audit_events import AuditEvent, AuditEventKind

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class PersonEvents:
    """The events of persons, who are named by person ids and borrower numbers."""

    audit_log: StoredAuditLog

    def list_by_reference(self, reference: str, now: datetime) -> Iterator[Facts]:
        """Yield the events of the page that has this help code, oldest first."""
        return self._search().find_by_reference(reference, now)

    def list_events(
        self, person_ids: Names, borrower_numbers: Names, now: datetime
    ) -> Iterator[Facts]:
        """Yield the events that the keys of a person open, oldest first."""
        return self._search().find_by_groups(self._groups(person_ids, borrower_numbers), now)

    def erase(
        self, person_ids: Names, borrower_numbers: Names, before: datetime | None, now: datetime
    ) -> int:
        """Delete the keys of a person that were made until ``before``, and log how many."""
        keys = self.audit_log.person_keys
        groups = self._groups(person_ids, borrower_numbers)
        count = sum(keys.erase(group, now, before) for group in groups)
        if count:
            self.audit_log.add(AuditEvent(AuditEventKind.PERSON_ERASED, now, count=count))
        return count

    def _search(self) -> EventSearch:
        return EventSearch(self.audit_log.files, self.audit_log.person_keys)

    def _groups(self, person_ids: Names, borrower_numbers: Names) -> Names:
        keys = self.audit_log.person_keys
        return (*map(keys.person_group, person_ids), *map(keys.borrower_group, borrower_numbers))


@dataclass(frozen=True, slots=True)
class ForgottenFile:
    """``forgotten.log`` in the state folder: a line of time and person id for each deletion."""

    state: Path

    def add(self, person_ids: Names, at: datetime) -> None:
        """Append one line for each person id, and return when it is on the disk."""
        # Begin with a new line: the line before may have been cut short.
        lines = "".join(f"\n{at.isoformat()} {person_id}\n" for person_id in person_ids)
        descriptor = os.open(self._path, _APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(lines.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        durable_files.synced(self.state)

    def read(self) -> Iterator[tuple[str, datetime]]:
        """Yield person id and time of each line.

        Skip a line that was cut short: its deletion was not confirmed.
        """
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="ascii").splitlines():
            at, _, person_id = line.partition(" ")
            try:
                yield person_id, datetime.fromisoformat(at)
            except ValueError:
                continue

    @property
    def _path(self) -> Path:
        return self.state / "forgotten.log"
