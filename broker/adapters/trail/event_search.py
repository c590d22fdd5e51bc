"""What staff may ask of the trail: the events of a page's reference or of a person, as long as their key is there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.adapters.trail.monthly_files import TrailFiles
from broker.adapters.trail.person_keys import KIND, PersonKeys, tag, unsealed
from broker.adapters.trail.verification import lines
from broker.core.ports import Store


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Reads the trail with the keys of the store."""

    journal: TrailFiles
    sealing: PersonKeys
    store: Store

    def by_reference(self, reference: str, now: datetime) -> Iterator[Mapping[str, Any]]:
        """Give the events of a page's reference, oldest first."""
        reference = _typed(reference)
        marks = {mark: key for mark, (_, key) in self._marks(reference, now).items()}
        for facts in self._facts():
            key = marks.get((_month(facts), facts.get("tag", "")))
            if key:
                yield _told(facts, unsealed(key, facts["who"]))
            elif facts.get("reference") == reference:
                yield facts

    def groups_of(self, reference: str, now: datetime) -> tuple[str, ...]:
        """Give what the keys of the person of a page's reference are kept under; none where it is nobody's."""
        marks = self._marks(_typed(reference), now)
        found = (marks.get((_month(facts), facts.get("tag", ""))) for facts in self._facts())
        return tuple(dict.fromkeys(each[0] for each in found if each))

    def of(self, groups: tuple[str, ...], now: datetime) -> Iterator[Mapping[str, Any]]:
        """Give the events of a person, whose keys are kept under ``groups``, oldest first."""
        keys: dict[str, list[bytes]] = {}
        for group in groups:
            for place, kept in self.store.list(KIND, group, now):
                keys.setdefault(place.name, []).append(kept.value)
        for facts in self._facts():
            found = (
                unsealed(key, facts["who"]) for key in keys.get(_month(facts), []) if "who" in facts
            )
            who = next((each for each in found if each), None)
            if who:
                yield _told(facts, who)

    def _marks(self, reference: str, now: datetime) -> dict[tuple[str, str], tuple[str, bytes]]:
        """Give, by month and mark, the group and key under which a line of this reference would be sealed."""
        kept = self.store.list(KIND, None, now)
        return {
            (place.name, tag(each.value, reference)): (place.group, each.value)
            for place, each in kept
        }

    def _facts(self) -> Iterator[dict[str, Any]]:
        for month in self.journal.months():
            for _, _, line in lines(self.journal, month):
                if line is not None:
                    yield {"n": line.number, **line.facts}


def _typed(reference: str) -> str:
    return "".join(reference.split()).upper()


def _month(facts: Mapping[str, Any]) -> str:
    """Give the month whose key sealed a line: of its own time, for the last of a month may stand in the next's file."""
    return str(facts.get("at"))[:7]


def _told(facts: Mapping[str, Any], who: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {name: value for name, value in facts.items() if name not in {"who", "tag"}} | (
        dict(who) if who else {}
    )
