"""What staff may ask of the trail: the events of a page's reference or of a person, as long as their key is there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.core.ports import Store
from broker.trail.journal import Journal
from broker.trail.sealing import KIND, Sealing, opened, tag
from broker.trail.verifying import lines


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the trail with the keys of the store."""

    journal: Journal
    sealing: Sealing
    store: Store

    def by_reference(self, reference: str, now: datetime) -> Iterator[Mapping[str, Any]]:
        """Give the events of a page's reference, oldest first."""
        reference = "".join(reference.split()).upper()
        months: dict[str, dict[str, bytes]] = {}
        for place, kept in self.store.list(KIND, None, now):
            if place.name:
                months.setdefault(place.name, {})[tag(kept.value, reference)] = kept.value
        for month in self.journal.months():
            tags = months.get(month, {})
            for facts in self._facts(month):
                key = tags.get(facts.get("tag", ""))
                if key:
                    yield _told(facts, opened(key, facts["who"]))
                elif facts.get("reference") == reference:
                    yield facts

    def of(self, groups: tuple[str, ...], now: datetime) -> Iterator[Mapping[str, Any]]:
        """Give the events of a person, whose keys are kept under ``groups``, oldest first."""
        keys: dict[str, list[bytes]] = {}
        for group in groups:
            for place, kept in self.store.list(KIND, group, now):
                keys.setdefault(place.name, []).append(kept.value)
        for month in self.journal.months():
            for facts in self._facts(month):
                found = (opened(key, facts["who"]) for key in keys.get(month, []) if "who" in facts)
                who = next((each for each in found if each), None)
                if who:
                    yield _told(facts, who)

    def _facts(self, month: str) -> Iterator[dict[str, Any]]:
        for _, line, _ in lines(self.journal, month):
            if line is not None:
                yield {"n": line.number, **line.facts}


def _told(facts: Mapping[str, Any], who: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {name: value for name, value in facts.items() if name not in {"who", "tag"}} | (dict(who) if who else {})
