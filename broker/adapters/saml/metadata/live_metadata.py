"""The metadata of the moment: the folder, and feeds that are fetched again while logins run."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

from broker.adapters.saml.metadata import feed_descriptors
from broker.adapters.saml.metadata.aggregates import Entity
from broker.adapters.saml.metadata.feed_copies import Copies
from broker.adapters.saml.metadata.feed_fetch import Feed
from broker.adapters.saml.metadata.feed_refresh import FeedRefresh, FetchOutcome
from broker.adapters.saml.metadata.metadata_folder import Metadata
from broker.adapters.saml.metadata.published_scopes import (
    PublishedInstitution,
    spellings,
    with_published_scopes,
)
from broker.core.entities import Institution, Service, Upstream
from broker.core.login.transaction import SKEW

FOLDER: Final = "folder"
_Configured = TypeVar("_Configured")


@dataclass(frozen=True, slots=True)
class WantedEntities:
    """The upstreams and services as broker.toml describes them, by name."""

    upstreams: Mapping[str, Upstream]
    services: Mapping[str, Service]

    @property
    def upstream_ids(self) -> list[str]:
        """Return the entityIDs of the upstreams that speak SAML."""
        return [each.entity_id for each in self.upstreams.values() if not each.local]

    @property
    def service_ids(self) -> list[str]:
        """Return the entityIDs of the services."""
        return [service.entity_id for service in self.services.values()]

    @property
    def institutions(self) -> Iterator[Institution]:
        """Yield the institutions of all upstreams."""
        for upstream in self.upstreams.values():
            yield from upstream.institutions


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All metadata of one moment, with notices to the administrator.

    ``sources`` names, by kind and entityID, the folder or feed where a descriptor was found.
    """

    metadata: Metadata
    services: Mapping[str, Service]
    notices: Sequence[str] = ()
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)


class LiveMetadata:
    """The metadata of the moment; only a good copy replaces it, in one assignment."""

    def __init__(
        self,
        local: Metadata,
        wanted: WantedEntities,
        followed: Sequence[FeedRefresh],
        tell: Callable[[FetchOutcome], None],
        now: datetime,
    ) -> None:
        """Take what the folder holds, and feeds, whose last good copies are in force at once."""
        self.local = local
        self.wanted = wanted
        self.followed = tuple(followed)
        self._tell = tell
        self.wake = Event()  # of the loop that calls ``step``
        for feed in self.followed:
            feed.look(now)
        self._snapshot = self._made(now)
        self._ends = self._next_end(now)

    @property
    def current(self) -> Metadata:
        """Return the metadata in force; a message is held against one state from start to end."""
        return self._snapshot.metadata

    @property
    def snapshot(self) -> Snapshot:
        """Return the metadata in force with its sources and notices."""
        return self._snapshot

    @property
    def wanting(self) -> bool:
        """Return whether a feed has no copy at all: the loop would begin without it."""
        return any(feed.until() is None for feed in self.followed)

    def step(self, now: datetime) -> bool:
        """Fetch what is due and read what has changed; a loop calls it every few seconds."""
        self.refresh(now)
        return False

    def refresh(self, now: datetime, *, force: bool = False) -> list[FetchOutcome]:
        """Fetch what is due, or all with ``force``, and read what has changed; never fails."""
        outcomes: list[FetchOutcome] = []
        for feed in self.followed:
            outcomes += feed.fetch(now, force=force)
        for outcome in outcomes:
            self._tell(outcome)
        changed = [feed.look(now) for feed in self.followed]
        ended = self._ends is not None and self._ends <= now - SKEW
        if ended or any(changed):
            self._snapshot = self._made(now)
            self._ends = self._next_end(now)
        return outcomes

    def faults(self, now: datetime) -> Sequence[str]:
        """Return why no login would work; empty while any upstream can be asked."""
        ids = set(self.wanted.upstream_ids)
        if not ids or any(self.current.upstream(entity_id, now) for entity_id in ids):
            return []
        return [f"no metadata of {entity_id} is in force" for entity_id in sorted(ids)]

    def alarms(self, now: datetime) -> Sequence[str]:
        """Return what is amiss although logins may work.

        Feeds that are refused or late, upstreams and services without metadata.
        """
        alarms: list[str] = []
        for feed in self.followed:
            alarms += feed.alarms(now)
        missing = dict.fromkeys(self._missing(now))
        alarms += [f"{entity_id} has no metadata in force" for entity_id in missing]
        return alarms

    def _missing(self, now: datetime) -> Iterator[str]:
        """Yield the entityIDs that have no metadata in force."""
        current = self.current
        for entity_id in self.wanted.upstream_ids:
            if current.upstream(entity_id, now) is None:
                yield entity_id
        for entity_id in self.wanted.service_ids:
            if current.service(entity_id, now) is None:
                yield entity_id

    def _made(self, now: datetime) -> Snapshot:
        gathered = _Gathered(self.wanted, self.local)
        for feed in self.followed:
            gathered.add(feed, now)
        upstreams, claims = with_published_scopes(self.wanted.upstreams, gathered.published)
        metadata = Metadata(gathered.upstreams, gathered.services, upstreams)
        services = {
            name: _completed(service, metadata) for name, service in self.wanted.services.items()
        }
        notices = (*gathered.notices, *self._rivals(), *claims)
        return Snapshot(metadata, services, notices, gathered.sources)

    def _rivals(self) -> Iterator[str]:
        """Name the feeds of which one may speak for what another holds, once that drops it."""
        for kind in ("upstreams", "institutions", "services"):
            names = [feed.feed.name for feed in self.followed if kind in feed.feed.speaks_for]
            if len(names) > 1:
                both = f"feeds {' and '.join(names)} all speak for {kind}"
                yield f"{both}: give each its own speaks_for"

    def _next_end(self, now: datetime) -> datetime | None:
        """Return when something of the snapshot ends next."""
        ends: list[datetime] = []
        for feed in self.followed:
            ends += [entity.until for entity in feed.entities(now).values()]
        return min(ends, default=None)


class _Gathered:
    """What the folder and the feeds before publish, while a snapshot is made: the first wins."""

    def __init__(self, wanted: WantedEntities, local: Metadata) -> None:
        self.wanted = wanted
        self.upstreams = dict(local.upstreams)
        self.services = dict(local.services)
        self.published: dict[str, PublishedInstitution] = {}
        self.notices: list[str] = []
        self.sources: dict[tuple[str, str], str] = {}
        self._name_source("upstream", self.upstreams, FOLDER)
        self._name_source("service", self.services, FOLDER)

    def add(self, feed: FeedRefresh, now: datetime) -> None:
        """Add what a feed publishes of the entities that nothing before it has."""
        name = feed.feed.name
        kept = feed.entities(now)
        upstream_ids: list[str] = []
        if "upstreams" in feed.feed.speaks_for:
            upstream_ids = _lacking(self.wanted.upstream_ids, self.upstreams)
        service_ids: list[str] = []
        if "services" in feed.feed.speaks_for:
            service_ids = _lacking(self.wanted.service_ids, self.services)
        found, faults = feed_descriptors.descriptors(kept, upstream_ids, service_ids, now)
        self.notices += [f"{name}: {notice}" for notice in (*faults, *feed.notices())]
        self.upstreams |= found.upstreams
        self.services |= found.services
        self._name_source("upstream", found.upstreams, name)
        self._name_source("service", found.services, name)
        if "institutions" in feed.feed.speaks_for:
            self._add_institutions(kept, feed.feed)

    def _add_institutions(self, kept: Mapping[str, Entity], feed: Feed) -> None:
        published = dict(_published(self.wanted.institutions, kept, feed.birk))
        more = {name: each for name, each in published.items() if name not in self.published}
        self.published |= more
        self._name_source("institution", more, feed.name)

    def _name_source(
        self,
        kind: str,
        ids: Collection[str],
        source: str,
    ) -> None:
        for entity_id in ids:
            self.sources[kind, entity_id] = source


def _lacking(ids: Iterable[str], found: Collection[str]) -> list[str]:
    """Return the entityIDs that are not found."""
    return [entity_id for entity_id in ids if entity_id not in found]


def _published(
    institutions: Iterable[Institution],
    kept: Mapping[str, Entity],
    birk: str,
) -> Iterator[tuple[str, PublishedInstitution]]:
    """Yield what a feed publishes of the institutions, by entityID; ``birk`` as ``spellings``."""
    for institution in institutions:
        names = spellings(institution, birk)
        listed = [feed_descriptors.scopes(kept[name]) for name in names if name in kept]
        found = [scopes for scopes in listed if scopes is not None]
        if found:
            every = dict.fromkeys(scope for scopes in found for scope in scopes)
            yield institution.entity_id, PublishedInstitution(names, tuple(every))


def feed_refreshes(
    feeds: Sequence[Feed],
    local: Metadata,
    wanted: WantedEntities,
    state: Path,
) -> Iterator[FeedRefresh]:
    """Yield the refresh of every feed: it keeps what it speaks for and the folder does not hold.

    ``state`` is the folder of the copies.
    """
    upstreams = _lacking(wanted.upstream_ids, local.upstreams)
    services = _lacking(wanted.service_ids, local.services)
    for feed in feeds:
        ids: set[str] = set()
        if "upstreams" in feed.speaks_for:
            ids.update(upstreams)
        if "services" in feed.speaks_for:
            ids.update(services)
        if "institutions" in feed.speaks_for:
            for institution in wanted.institutions:
                ids.update(spellings(institution, feed.birk))
        yield FeedRefresh(feed, ids, Copies(state / feed.name))


class LiveMapping(Mapping[str, _Configured]):
    """The upstreams or services of the moment, by name, for rooms that keep a mapping."""

    def __init__(self, current: Callable[[], Mapping[str, _Configured]]) -> None:
        """Take what returns the mapping of the moment."""
        self._current = current

    def __getitem__(self, name: str) -> _Configured:
        return self._current()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())


def _completed(service: Service, metadata: Metadata) -> Service:
    """Complete a service by what its metadata publishes."""
    found = metadata.services.get(service.entity_id)
    if found is None:
        return replace(service, encrypts=False)
    vouched = [name for name in sorted(found.categories) if name not in service.categories]
    return replace(
        service,
        encrypts=found.encryption_certificate is not None,
        categories=(*service.categories, *vouched),
        subject_id_req=found.subject_id_req,
        requires=found.required,
    )
