"""Combines folder and feeds into one state of all metadata; the folder has priority."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from broker.adapters.saml.feeds.aggregates import Entity
from broker.adapters.saml.feeds.feed_refresh import FeedRefresh
from broker.adapters.saml.metadata import entity_roles
from broker.adapters.saml.metadata.metadata_folder import FolderContents, Metadata, drop_expired
from broker.adapters.saml.metadata.published_scopes import (
    PublishedInstitution,
    Undisputed,
    complete_upstreams,
    list_spellings,
)
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.core.entities import Institution, Service

FOLDER: Final = "folder"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All metadata at one time, with notices for the administrator.

    ``sources`` is, by kind and entityID, the folder or feed of a descriptor. ``undisputed`` is the
    scopes to store in the scope record.
    """

    metadata: Metadata
    services: Mapping[str, Service]
    notices: Sequence[str] = ()
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)
    undisputed: Undisputed = field(default_factory=dict)


def take_snapshot(
    wanted: WantedEntities,
    folder: FolderContents,
    followed: Sequence[FeedRefresh],
    undisputed: Undisputed,
    now: datetime,
) -> Snapshot:
    """Return all metadata as it is now; ``undisputed`` is the content of the scope record."""
    gathered = _Gathered(wanted, folder, followed, now)
    for feed in followed:
        gathered.add(feed, now)
    completed = complete_upstreams(wanted.upstreams, gathered.published, undisputed)
    metadata = Metadata(gathered.upstreams, gathered.services, completed.upstreams)
    services = {
        name: _complete_service(service, metadata) for name, service in wanted.services.items()
    }
    notices = (*gathered.notices, *completed.notices)
    return Snapshot(metadata, services, notices, gathered.sources, completed.undisputed)


class _Gathered:
    """Collects the metadata of folder and feeds for a snapshot; the first source wins."""

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
        # If the file of an upstream is broken, a feed must not replace its key.
        self.broken = frozenset(folder.faults)
        self.published = dict(_read_folder_scopes(wanted.institutions, folder, now))
        self.notices = [*folder.notices, *_describe_ignored_scopes(wanted, folder)]
        self.sources: dict[tuple[str, str], str] = {}
        self._name_source("upstream", self.upstreams, FOLDER)
        self._name_source("service", self.services, FOLDER)
        self._name_source("institution", self.published, FOLDER)

    def add(self, followed: FeedRefresh, now: datetime) -> None:
        """Add the entities that this feed may publish, and that no earlier source has."""
        feed = followed.feed
        kept = followed.entities(now)
        written = {*self.upstreams, *self.broken}
        upstream_ids = list_lacking(self.wanted.upstreams_of(feed, self.feeds), written)
        service_ids = list_lacking(self.wanted.services_of(feed, self.feeds), self.services)
        found = entity_roles.read_feed_descriptors(kept, upstream_ids, service_ids)
        for notice in (*found.notices, *followed.notices()):
            self.notices.append(f"{feed.name}: {notice}")
        self.upstreams |= found.upstreams
        self.services |= found.services
        self._name_source("upstream", found.upstreams, feed.name)
        self._name_source("service", found.services, feed.name)
        institutions = self.wanted.institutions_of(feed, self.feeds)
        published = dict(_read_feed_scopes(institutions, kept, feed.birk))
        more = {name: each for name, each in published.items() if name not in self.published}
        self.published |= more
        self._name_source("institution", more, feed.name)

    def _name_source(self, kind: str, ids: Collection[str], source: str) -> None:
        for entity_id in ids:
            self.sources[kind, entity_id] = source


def list_lacking(ids: Iterable[str], found: Collection[str]) -> list[str]:
    """Return the entityIDs that are not in ``found``."""
    return [entity_id for entity_id in ids if entity_id not in found]


def _read_folder_scopes(
    institutions: Iterable[Institution], folder: FolderContents, now: datetime
) -> Iterator[tuple[str, PublishedInstitution]]:
    """Yield the names and scopes in the folder of institutions configured to use them."""
    for institution in institutions:
        if not institution.folder_scopes:
            continue
        names = []
        listed = []
        for name in list_spellings(institution, ""):
            found = drop_expired(folder.scopes.get(name), now)
            if found is not None:
                names.append(name)
                listed.append(found.scopes)
        if names:
            yield institution.entity_id, PublishedInstitution(tuple(names), _join_scopes(listed))


def _join_scopes(listed: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the scopes of several names of an institution, each once."""
    every: dict[str, None] = {}
    for scopes in listed:
        every |= dict.fromkeys(scopes)
    return tuple(every)


def _describe_ignored_scopes(wanted: WantedEntities, folder: FolderContents) -> Iterator[str]:
    """Yield the scopes in the folder that are ignored, with the setting that uses them."""
    for upstream in wanted.upstreams.values():
        for institution in upstream.institutions:
            if institution.folder_scopes or "scopes" not in institution.unwritten:
                continue
            where = f"upstreams.{upstream.name}.institutions"
            entry = f'{{ entity_id = "{institution.entity_id}", scopes = "metadata" }}'
            for name in list_spellings(institution, ""):
                found = folder.scopes.get(name)
                listed = " ".join(found.scopes) if found else ""
                if listed:
                    what = f"{name} has shibmd:Scope in the metadata folder, which is ignored"
                    yield f"{what} ({listed}): write {entry} in {where}"


def _read_feed_scopes(
    institutions: Iterable[Institution], kept: Mapping[str, Entity], birk: str
) -> Iterator[tuple[str, PublishedInstitution]]:
    """Yield the names and scopes of the institutions in a feed, by entityID."""
    for institution in institutions:
        names = list_spellings(institution, birk)
        listed = [entity_roles.read_feed_scopes(kept[name]) for name in names if name in kept]
        found = [scopes for scopes in listed if scopes is not None]
        if found:
            yield institution.entity_id, PublishedInstitution(names, _join_scopes(found))


def _complete_service(service: Service, metadata: Metadata) -> Service:
    """Add to a service what its metadata publishes."""
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
