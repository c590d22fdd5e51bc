"""Makes one state of all metadata: of the folder first, then of the feeds that may speak."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from broker.adapters.saml.feeds.aggregates import Entity
from broker.adapters.saml.feeds.feed_refresh import FeedRefresh
from broker.adapters.saml.metadata import entity_roles
from broker.adapters.saml.metadata.metadata_folder import FolderContents, Metadata, in_force
from broker.adapters.saml.metadata.published_scopes import (
    PublishedInstitution,
    Undisputed,
    spellings,
    with_published_scopes,
)
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.core.entities import Institution, Service

FOLDER: Final = "folder"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All metadata of one moment, with notices to the administrator.

    ``sources`` names, by kind and entityID, the folder or feed where a descriptor was found.
    ``undisputed`` is what is to be remembered of scopes.
    """

    metadata: Metadata
    services: Mapping[str, Service]
    notices: Sequence[str] = ()
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)
    undisputed: Undisputed = field(default_factory=dict)


def snapshot(
    wanted: WantedEntities,
    folder: FolderContents,
    followed: Sequence[FeedRefresh],
    undisputed: Undisputed,
    now: datetime,
) -> Snapshot:
    """Return all metadata as it is now; ``undisputed`` is what is remembered of scopes."""
    gathered = _Gathered(wanted, folder, followed, now)
    for feed in followed:
        gathered.add(feed, now)
    completed = with_published_scopes(wanted.upstreams, gathered.published, undisputed)
    metadata = Metadata(gathered.upstreams, gathered.services, completed.upstreams)
    services = {name: _completed(service, metadata) for name, service in wanted.services.items()}
    notices = (*gathered.notices, *completed.notices)
    return Snapshot(metadata, services, notices, gathered.sources, completed.undisputed)


class _Gathered:
    """What the folder and the feeds before publish, while a snapshot is made: the first wins."""

    def __init__(
        self,
        wanted: WantedEntities,
        folder: FolderContents,
        followed: Sequence[FeedRefresh],
        now: datetime,
    ) -> None:
        self.wanted = wanted
        self.feeds = [each.feed for each in followed]
        self.upstreams = dict(folder.metadata.upstreams)
        self.services = dict(folder.metadata.services)
        # An upstream that is its own institution is kept of a feed for its scopes: its key is not
        # for the publisher to say while a file holds it in vain.
        self.in_vain = frozenset(folder.faults)
        self.published = dict(_of_folder(wanted.institutions, folder, now))
        self.notices = [*folder.notices, *_ignored_scopes(wanted, folder)]
        self.sources: dict[tuple[str, str], str] = {}
        self._name_source("upstream", self.upstreams, FOLDER)
        self._name_source("service", self.services, FOLDER)
        self._name_source("institution", self.published, FOLDER)

    def add(self, followed: FeedRefresh, now: datetime) -> None:
        """Add what a feed publishes of the entities that it speaks for and nothing before has."""
        feed = followed.feed
        kept = followed.entities(now)
        written = {*self.upstreams, *self.in_vain}
        upstream_ids = lacking(self.wanted.upstreams_of(feed, self.feeds), written)
        service_ids = lacking(self.wanted.services_of(feed, self.feeds), self.services)
        found = entity_roles.descriptors(kept, upstream_ids, service_ids)
        for notice in (*found.notices, *followed.notices()):
            self.notices.append(f"{feed.name}: {notice}")
        self.upstreams |= found.upstreams
        self.services |= found.services
        self._name_source("upstream", found.upstreams, feed.name)
        self._name_source("service", found.services, feed.name)
        institutions = self.wanted.institutions_of(feed, self.feeds)
        published = dict(_of_feed(institutions, kept, feed.birk))
        more = {name: each for name, each in published.items() if name not in self.published}
        self.published |= more
        self._name_source("institution", more, feed.name)

    def _name_source(self, kind: str, ids: Collection[str], source: str) -> None:
        for entity_id in ids:
            self.sources[kind, entity_id] = source


def lacking(ids: Iterable[str], found: Collection[str]) -> list[str]:
    """Return the entityIDs that are not found."""
    return [entity_id for entity_id in ids if entity_id not in found]


def _of_folder(
    institutions: Iterable[Institution], folder: FolderContents, now: datetime
) -> Iterator[tuple[str, PublishedInstitution]]:
    """Yield what the folder publishes of the institutions whose scopes are left to it."""
    for institution in institutions:
        if not institution.folder_scopes:
            continue
        names = []
        listed = []
        for name in spellings(institution, ""):
            found = in_force(folder.scopes.get(name), now)
            if found is not None:
                names.append(name)
                listed.append(found.scopes)
        if names:
            yield institution.entity_id, PublishedInstitution(tuple(names), _every(listed))


def _every(listed: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the scopes of several names of an institution, each once."""
    every: dict[str, None] = {}
    for scopes in listed:
        every |= dict.fromkeys(scopes)
    return tuple(every)


def _ignored_scopes(wanted: WantedEntities, folder: FolderContents) -> Iterator[str]:
    """Yield the scopes in the folder that count for nothing, with the setting that takes them."""
    for upstream in wanted.upstreams.values():
        for institution in upstream.institutions:
            if institution.folder_scopes or "scopes" not in institution.unwritten:
                continue
            where = f"upstreams.{upstream.name}.institutions"
            entry = f'{{ entity_id = "{institution.entity_id}", scopes = "metadata" }}'
            for name in spellings(institution, ""):
                found = folder.scopes.get(name)
                listed = " ".join(found.scopes) if found else ""
                if listed:
                    what = f"{name} has shibmd:Scope in the metadata folder, which is ignored"
                    yield f"{what} ({listed}): write {entry} in {where}"


def _of_feed(
    institutions: Iterable[Institution], kept: Mapping[str, Entity], birk: str
) -> Iterator[tuple[str, PublishedInstitution]]:
    """Yield what a feed publishes of the institutions, by entityID; ``birk`` as ``spellings``."""
    for institution in institutions:
        names = spellings(institution, birk)
        listed = [entity_roles.feed_scopes(kept[name]) for name in names if name in kept]
        found = [scopes for scopes in listed if scopes is not None]
        if found:
            yield institution.entity_id, PublishedInstitution(names, _every(found))


def _completed(service: Service, metadata: Metadata) -> Service:
    """Complete a service by what its metadata publishes."""
    found = metadata.services.get(service.entity_id)
    if found is None:
        return replace(service, encrypts=False)
    vouched = [name for name in sorted(found.categories) if name not in service.categories]
    return replace(
        service,
        encrypts=found.encryption_certificate is not None and service.encryption != "none",
        categories=(*service.categories, *vouched),
        subject_id_req=found.subject_id_req,
        requires=found.required,
    )
