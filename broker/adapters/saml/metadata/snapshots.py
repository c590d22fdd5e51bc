"""Combines folder and feeds into one state of all metadata; the folder has priority."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any, Final

from broker.adapters.saml.feeds.feed_refresh import FeedRefresh
from broker.adapters.saml.metadata.entity_roles import PublishedScopes, read_feed_descriptors
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
    gathered = _Gathered(wanted, folder, now)
    for feed in followed:
        gathered.add(feed, now)
    completed = complete_upstreams(wanted.upstreams, gathered.found["institution"], undisputed)
    metadata = Metadata(gathered.found["upstream"], gathered.found["service"], completed.upstreams)
    services = {
        name: _complete_service(service, metadata) for name, service in wanted.services.items()
    }
    notices = (*gathered.notices, *completed.notices)
    return Snapshot(metadata, services, notices, gathered.sources, completed.undisputed)


class _Gathered:
    """Collects the metadata of folder and feeds for a snapshot; the first source wins."""

    def __init__(self, wanted: WantedEntities, folder: FolderContents, now: datetime) -> None:
        self.wanted = wanted
        self.found: dict[str, dict[str, Any]] = {"upstream": {}, "service": {}, "institution": {}}
        self.sources: dict[tuple[str, str], str] = {}
        # If the file of a party is broken, a feed must not replace its key.
        self.broken = folder.faults.keys()
        self.notices = [*folder.notices, *_describe_ignored_scopes(wanted, folder)]
        valid = {name: each for name, each in folder.scopes.items() if drop_expired(each, now)}
        institutions = [each for each in wanted.institutions if each.folder_scopes]
        self._keep(FOLDER, folder.metadata, _join_scopes(institutions, valid, ""))

    def add(self, followed: FeedRefresh, now: datetime) -> None:
        """Add the entities that this feed may publish, and that no earlier source has."""
        feed = followed.feed
        upstreams = (
            set(self.wanted.upstreams_of(feed)) - self.found["upstream"].keys() - self.broken
        )
        services = set(self.wanted.services_of(feed)) - self.found["service"].keys() - self.broken
        found = read_feed_descriptors(followed.entities(now), upstreams, services)
        for notice in (*found.notices, *followed.notices()):
            self.notices.append(f"{feed.name}: {notice}")
        institutions = self.wanted.institutions_of(feed)
        published = _join_scopes(institutions, found.scopes, feed.birk)
        self._keep(feed.name, Metadata(found.upstreams, found.services), published)

    def _keep(
        self, source: str, metadata: Metadata, published: Mapping[str, PublishedInstitution]
    ) -> None:
        more: dict[str, Mapping[str, Any]]
        more = {
            "upstream": metadata.upstreams,
            "service": metadata.services,
            "institution": published,
        }
        for kind, found in more.items():
            for name in found.keys() - self.found[kind].keys():
                self.found[kind][name] = found[name]
                self.sources[kind, name] = source


def _join_scopes(
    institutions: Iterable[Institution], scopes: Mapping[str, PublishedScopes], prefix: str
) -> Mapping[str, PublishedInstitution]:
    """Return the names of the institutions in a source, with the scopes of all their names."""
    joined = {}
    for institution in institutions:
        names = list_spellings(institution, prefix)
        listed = [scopes[name].scopes for name in names if name in scopes]
        if listed:
            every = tuple(dict.fromkeys(chain(*listed)))
            joined[institution.entity_id] = PublishedInstitution(names, every)
    return joined


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
