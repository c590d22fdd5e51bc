"""Search of the audit log by a page's reference or by person, while the person's keys exist."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from broker.adapters.audit_log.hash_chain import Facts
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.person_keys import KIND, PersonKeys, compute_tag, open_facts
from broker.core.help_codes import normalize_code

_SEALED: Final = frozenset({"who", "tag"})


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Reads the lines of the audit log with the keys of the store."""

    files: AuditFiles
    person_keys: PersonKeys

    def find_by_reference(self, reference: str, now: datetime) -> Iterator[Facts]:
        """Yield the events of a page's reference, oldest first."""
        reference = normalize_code(reference)
        for facts, _ in self._open_lines(self.list_groups(reference, now), now):
            if facts.get("reference") == reference:
                yield facts

    def find_by_groups(self, groups: Sequence[str], now: datetime) -> Iterator[Facts]:
        """Yield the events of the person whose keys have ``groups``, oldest first."""
        for facts, is_of_person in self._open_lines(groups, now):
            if is_of_person:
                yield facts

    def list_groups(self, reference: str, now: datetime) -> Sequence[str]:
        """Return the key groups of the reference's person; none if it has no person."""
        reference = normalize_code(reference)
        tags = {(_month(facts), facts.get("tag")) for facts in self._lines()}
        keys = self.person_keys.store.list(KIND, None, now)
        groups = [
            key.group
            for key, kept in keys
            if (key.name, compute_tag(kept.value, reference)) in tags
        ]
        return tuple(dict.fromkeys(groups))

    def _open_lines(self, groups: Sequence[str], now: datetime) -> Iterator[tuple[Facts, bool]]:
        """Yield all lines, opened where a key of ``groups`` fits, and whether one did."""
        keys: dict[str, list[bytes]] = {}
        for group in groups:
            for key, kept in self.person_keys.store.list(KIND, group, now):
                keys.setdefault(key.name, []).append(kept.value)
        for facts in self._lines():
            who = facts.get("who", "")
            opened = (open_facts(key, who) for key in keys.get(_month(facts), ()))
            person = next(filter(None, opened), None)
            if person is None:
                yield facts, False
            else:
                plain = {name: value for name, value in facts.items() if name not in _SEALED}
                yield plain | person, True

    def _lines(self) -> Iterator[dict[str, Any]]:
        for month in self.files.months():
            for _, line in self.files.read_lines(month):
                if line is not None:
                    yield {"n": line.number, **line.facts}


def _month(facts: Facts) -> str:
    """Return the month whose key sealed a line, by its time.

    The file may be that of the next month.
    """
    return str(facts.get("at"))[:7]
