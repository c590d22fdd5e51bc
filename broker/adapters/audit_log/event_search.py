"""Finds the events of a page's reference or of a person, as long as the person's keys exist."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from broker.adapters.audit_log.hash_chain import Facts
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.audit_log.person_keys import KIND, PersonKeys, tag, unsealed
from broker.adapters.audit_log.verification import lines
from broker.core.help_codes import normalize_code
from broker.core.ports import Store

_SEALED: Final = frozenset({"who", "tag"})
_MonthAndTag = tuple[str, str]


class _PersonKey(NamedTuple):
    group: str
    octets: bytes

    def __repr__(self) -> str:
        """Never show the key."""
        return "_PersonKey(...)"


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Reads the audit log with the keys of the store."""

    journal: AuditFiles
    person_keys: PersonKeys
    store: Store

    def by_reference(self, reference: str, now: datetime) -> Iterator[Facts]:
        """Yield the events of a page's reference, oldest first."""
        reference = normalize_code(reference)
        keys = self._keys(reference, now)
        for facts in self._lines():
            key = keys.get(_month_and_tag(facts))
            if key is not None:
                yield _opened(facts, unsealed(key.octets, facts["who"]))
            elif facts.get("reference") == reference:
                yield facts

    def groups_of(self, reference: str, now: datetime) -> tuple[str, ...]:
        """Return the groups of the keys of a reference's person; none where it has no person."""
        keys = self._keys(normalize_code(reference), now)
        groups: list[str] = []
        for facts in self._lines():
            key = keys.get(_month_and_tag(facts))
            if key is not None and key.group not in groups:
                groups.append(key.group)
        return tuple(groups)

    def of(self, groups: tuple[str, ...], now: datetime) -> Iterator[Facts]:
        """Yield the events of a person, whose keys are kept under ``groups``, oldest first."""
        keys: dict[str, list[bytes]] = {}
        for group in groups:
            for place, kept in self.store.list(KIND, group, now):
                keys.setdefault(place.name, []).append(kept.value)
        for facts in self._lines():
            if "who" not in facts:
                continue
            for key in keys.get(_month(facts), []):
                person = unsealed(key, facts["who"])
                if person:
                    yield _opened(facts, person)
                    break

    def services(self) -> tuple[str, ...]:
        """Return every service that an event names, those that are configured no more, too."""
        named = (facts.get("service") for facts in self._lines())
        return tuple(dict.fromkeys(str(name) for name in named if name))

    def _keys(self, reference: str, now: datetime) -> Mapping[_MonthAndTag, _PersonKey]:
        """Return, by month and tag, the keys that would seal a line of this reference."""
        keys = {}
        for place, kept in self.store.list(KIND, None, now):
            month_and_tag = (place.name, tag(kept.value, reference))
            keys[month_and_tag] = _PersonKey(place.group, kept.value)
        return keys

    def _lines(self) -> Iterator[dict[str, Any]]:
        for month in self.journal.months():
            for _, _, line in lines(self.journal, month):
                if line is not None:
                    yield {"n": line.number, **line.facts}


def _month(facts: Facts) -> str:
    """Return the month whose key sealed a line: of its own time, not of the file it stands in.

    The last line of a month may stand in the next month's file.
    """
    return str(facts.get("at"))[:7]


def _month_and_tag(facts: Facts) -> _MonthAndTag:
    return (_month(facts), facts.get("tag", ""))


def _opened(facts: Facts, person: Facts | None) -> Facts:
    plain = {name: value for name, value in facts.items() if name not in _SEALED}
    return plain | dict(person or {})
