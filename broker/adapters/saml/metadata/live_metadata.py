"""Metadata that lives: what the folder holds, and what feeds say, fetched again and swapped while logins run."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

from broker.adapters.saml.metadata import feed_entities
from broker.adapters.saml.metadata.aggregates import Entity
from broker.adapters.saml.metadata.feed_copies import Copies
from broker.adapters.saml.metadata.feed_fetch import Feed
from broker.adapters.saml.metadata.feed_refresh import FeedRefresh, FetchOutcome
from broker.adapters.saml.metadata.institution_scopes import (
    PublishedInstitution,
    spellings,
    with_published_scopes,
)
from broker.adapters.saml.metadata.metadata_folder import Metadata
from broker.core.entities import Service, Upstream
from broker.core.login.transaction import SKEW

FOLDER: Final = "folder"
_Party = TypeVar("_Party")


@dataclass(frozen=True, slots=True)
class WantedEntities:
    """The upstreams and services as broker.toml describes them, by name."""

    upstreams: Mapping[str, Upstream]
    services: Mapping[str, Service]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that metadata says at one moment; ``sources`` tells by kind and entityID where each was found."""

    metadata: Metadata
    services: Mapping[str, Service]
    told: Sequence[str] = ()
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)


class LiveMetadata:
    """The metadata of the moment: a good copy replaces it in one assignment, and nothing else does."""

    def __init__(
        self,
        local: Metadata,
        parties: WantedEntities,
        followed: Sequence[FeedRefresh],
        tell: Callable[[FetchOutcome], None],
        now: datetime,
    ) -> None:
        """Take what the folder holds, and the feeds; their last good copies are in force from the beginning."""
        self.local, self.parties, self.followed, self._tell = local, parties, tuple(followed), tell
        self.wake = Event()  # of the loop that calls ``step``
        for each in self.followed:
            each.look(now)
        self._held = self._made(now)
        self._ends = self._next_end(now)

    @property
    def current(self) -> Metadata:
        """Give the metadata in force; a message is read against one of these from beginning to end."""
        return self._held.metadata

    @property
    def snapshot(self) -> Snapshot:
        """Give the metadata in force and what is told of it."""
        return self._held

    @property
    def wanting(self) -> bool:
        """Say whether a feed has no copy at all, so that waiting for the loop would begin without it."""
        return any(each.until() is None for each in self.followed)

    def step(self, now: datetime) -> bool:
        """Fetch what is due, take up what has changed; for a loop that comes by every few seconds."""
        self.refresh(now)
        return False

    def refresh(self, now: datetime, *, force: bool = False) -> list[FetchOutcome]:
        """Fetch what is due, or with ``force`` everything, and take up what has changed; never fails."""
        outcomes = [outcome for each in self.followed for outcome in each.fetch(now, force=force)]
        for outcome in outcomes:
            self._tell(outcome)
        changed = [each.look(now) for each in self.followed]
        if any(changed) or (self._ends and self._ends <= now - SKEW):
            self._held = self._made(now)
            self._ends = self._next_end(now)
        return outcomes

    def faults(self, now: datetime) -> Sequence[str]:
        """Say why no login would work; empty while any upstream can be asked."""
        ids = {each.entity_id for each in self.parties.upstreams.values() if not each.local}
        if not ids or any(self.current.upstream(each, now) for each in ids):
            return []
        return [f"no metadata of {each} is in force" for each in sorted(ids)]

    def alarms(self, now: datetime) -> Sequence[str]:
        """Say what is amiss although logins may work: feeds that are refused or late, parties that are not there."""
        current = self.current
        kinds = (
            (current.upstream, self.parties.upstreams),
            (current.service, self.parties.services),
        )
        ids = [
            each.entity_id
            for find, parties in kinds
            for each in parties.values()
            if not (isinstance(each, Upstream) and each.local) and find(each.entity_id, now) is None
        ]
        gone = [f"{each} has no metadata in force" for each in dict.fromkeys(ids)]
        return [*(alarm for each in self.followed for alarm in each.alarms(now)), *gone]

    def _made(self, now: datetime) -> Snapshot:
        idps, sps = dict(self.local.upstreams), dict(self.local.services)
        sources = {("upstream", each): FOLDER for each in idps} | {
            ("service", each): FOLDER for each in sps
        }
        told: list[str] = []
        said: dict[str, PublishedInstitution] = {}
        for each in self.followed:
            kept, speaks = each.entities(now), each.feed.speaks_for
            ups = self._lacking(self.parties.upstreams, idps) if "upstreams" in speaks else []
            svs = self._lacking(self.parties.services, sps) if "services" in speaks else []
            found, faults = feed_entities.descriptors(kept, ups, svs, now)
            told += [f"{each.feed.name}: {amiss}" for amiss in (*faults, *each.told())]
            idps |= found.upstreams
            sps |= found.services
            sources |= {("upstream", name): each.feed.name for name in found.upstreams}
            sources |= {("service", name): each.feed.name for name in found.services}
            if "institutions" in speaks:
                more = {
                    name: one for name, one in self._said(kept, each.feed.birk) if name not in said
                }
                said |= more
                sources |= {("institution", name): each.feed.name for name in more}
        upstreams, claims = with_published_scopes(self.parties.upstreams, said)
        told += self._rivals()
        metadata = Metadata(idps, sps, upstreams)
        services = {
            name: _described(each, metadata) for name, each in self.parties.services.items()
        }
        return Snapshot(metadata, services, (*told, *claims), sources)

    def _rivals(self) -> Iterator[str]:
        """Tell where the publisher of one feed may speak for what another one holds, once that lets go of it."""
        for kind in ("upstreams", "institutions", "services"):
            names = [each.feed.name for each in self.followed if kind in each.feed.speaks_for]
            if len(names) > 1:
                yield f"feeds {' and '.join(names)} all speak for {kind}: give each its own speaks_for"

    @staticmethod
    def _lacking(
        parties: Mapping[str, Upstream] | Mapping[str, Service], found: Collection[str]
    ) -> list[str]:
        return [each.entity_id for each in parties.values() if each.entity_id not in found]

    def _said(
        self, kept: Mapping[str, Entity], birk: str
    ) -> Iterator[tuple[str, PublishedInstitution]]:
        for party in self.parties.upstreams.values():
            for each in party.institutions:
                names = spellings(each, birk)
                listed = [feed_entities.scopes(kept[name]) for name in names if name in kept]
                scopes = [scope for found in listed if found is not None for scope in found]
                if any(found is not None for found in listed):
                    yield each.entity_id, PublishedInstitution(names, tuple(dict.fromkeys(scopes)))

    def _next_end(self, now: datetime) -> datetime | None:
        """Give when something of the snapshot ends next."""
        ends = (one.until for each in self.followed for one in each.entities(now).values())
        return min(ends, default=None)


def following(
    feeds: Sequence[Feed], local: Metadata, parties: WantedEntities, state: Path
) -> Iterator[FeedRefresh]:
    """Give the followers of these feeds: each keeps what it speaks for and the folder does not hold."""
    ups = [each.entity_id for each in parties.upstreams.values() if not each.local]
    svs = [each.entity_id for each in parties.services.values()]
    institutions = [each for party in parties.upstreams.values() for each in party.institutions]
    for feed in feeds:
        kinds = {
            "upstreams": [each for each in ups if each not in local.upstreams],
            "services": [each for each in svs if each not in local.services],
            "institutions": [name for each in institutions for name in spellings(each, feed.birk)],
        }
        wanted = {
            name for kind, names in kinds.items() if kind in feed.speaks_for for name in names
        }
        yield FeedRefresh(feed, wanted, Copies(state / feed.name))


class Live(Mapping[str, _Party]):
    """The upstreams or services of the moment, by name, for rooms that keep a mapping."""

    def __init__(self, of: Callable[[], Mapping[str, _Party]]) -> None:
        """Take what gives the mapping of the moment."""
        self._of = of

    def __getitem__(self, name: str) -> _Party:
        return self._of()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of())

    def __len__(self) -> int:
        return len(self._of())


def _described(service: Service, metadata: Metadata) -> Service:
    """Complete a service by what its metadata says."""
    found = metadata.services.get(service.entity_id)
    if found is None:
        return replace(service, encrypts=False)
    vouched = (each for each in sorted(found.categories) if each not in service.categories)
    categories = (*service.categories, *vouched)
    return replace(
        service,
        encrypts=found.encryption is not None,
        categories=categories,
        subject_id_req=found.subject_id_req,
        requires=found.required,
    )
