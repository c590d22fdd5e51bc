"""Events of a person in this machine's audit log, and ``forgotten.log`` with deleted persons."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.adapters.audit_log.hash_chain import Facts
from broker.adapters.audit_log.person_keys import KIND, compute_tag, open_facts
from broker.configuration import durable_files
from broker.core.entities import Names
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.help_codes import normalize_code
from broker.core.ports import Kept, Key

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


_SEALED: Final = frozenset({"who", "tag"})
_StoredKeys = Sequence[tuple[Key, Kept]]


@dataclass(frozen=True, slots=True)
class PersonEvents:
    """The audit events of persons, found by person ids and borrower numbers.

    An event can be decrypted while the key of its person and year is in the store.
    """

    audit_log: StoredAuditLog

    def list_by_reference(self, reference: str, now: datetime) -> Iterator[Facts]:
        """Yield the events of the page that has this help code, oldest first."""
        reference = normalize_code(reference)
        tags = {facts.get("tag") for facts in self._lines()}
        stored = self.audit_log.person_keys.store.list(KIND, None, now)
        keys = [(key, kept) for key, kept in stored if compute_tag(kept.value, reference) in tags]
        for facts, _ in self._open_lines(keys):
            if facts.get("reference") == reference:
                yield facts

    def list_events(
        self, person_ids: Names, borrower_numbers: Names, now: datetime
    ) -> Iterator[Facts]:
        """Yield the events that the keys of a person decrypt, oldest first."""
        keys = self.audit_log.person_keys
        groups = keys.groups(person_ids, borrower_numbers)
        stored = [pair for group in groups for pair in keys.store.list(KIND, group, now)]
        return (facts for facts, is_opened in self._open_lines(stored) if is_opened)

    def erase(
        self, person_ids: Names, borrower_numbers: Names, before: datetime | None, now: datetime
    ) -> int:
        """Delete the keys of a person that were made until ``before`` (None: all); log how many."""
        keys = self.audit_log.person_keys
        groups = keys.groups(person_ids, borrower_numbers)
        count = sum(keys.erase(group, now, before) for group in groups)
        if count:
            self.audit_log.add(AuditEvent(AuditEventKind.PERSON_ERASED, now, count=count))
        return count

    def _open_lines(self, keys: _StoredKeys) -> Iterator[tuple[Facts, bool]]:
        """Yield the facts of every line, and whether one of ``keys`` decrypts them."""
        for facts in self._lines():
            # A line may be in the file of the next year, but its key is that of its own year.
            year = str(facts.get("at"))[:4]
            values = [kept.value for key, kept in keys if key.name == year]
            opened = (open_facts(value, facts.get("who", "")) for value in values)
            person = next(filter(None, opened), None)
            plain = {name: value for name, value in facts.items() if name not in _SEALED}
            yield plain | (person or {}), person is not None

    def _lines(self) -> Iterator[dict[str, Any]]:
        files = self.audit_log.files
        for month in files.months():
            for _, line in files.read_lines(month):
                if line is not None:
                    yield {"n": line.number, **line.facts}


@dataclass(frozen=True, slots=True)
class ForgottenFile:
    """``forgotten.log`` in the state folder: a line of time and person id for each deletion."""

    state: Path

    def add(self, person_ids: Names, at: datetime) -> None:
        """Append one line for each person id; all are on the disk when this returns."""
        # Begin with a new line: the line before may have been cut short.
        lines = "".join(f"\n{at.isoformat()} {person_id}\n" for person_id in person_ids)
        descriptor = os.open(self._path, _APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(lines.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        durable_files.sync_folder(self.state)

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
