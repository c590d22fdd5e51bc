"""The metadata in force: combines folder and feeds, and reads both again while logins run.

The folder has priority over the feeds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

from broker.adapters.saml.feeds.feed_copies import Copies
from broker.adapters.saml.feeds.feed_refresh import FeedRefresh, FetchOutcome
from broker.adapters.saml.metadata.entity_roles import PublishedScopes, read_feed_descriptors
from broker.adapters.saml.metadata.metadata_folder import (
    FolderContents,
    Metadata,
    MetadataFolder,
    drop_expired,
)
from broker.adapters.saml.metadata.published_scopes import (
    PublishedInstitution,
    ScopeRecord,
    Undisputed,
    complete_upstreams,
    list_spellings,
)
from broker.adapters.saml.metadata.role_descriptors import PeerDescriptor
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.adapters.saml.xml_security import xml_times
from broker.core.entities import Institution, Service
from broker.core.errors import Fault
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort, Facts
from broker.core.login.transaction import SKEW

_SOON: Final = timedelta(days=14)
FOLDER: Final = "folder"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All metadata at one time, with notices for the administrator.

    ``sources`` is the folder or feed of each descriptor, by kind and entityID. ``undisputed`` are
    the scopes to store in the scope record.
    """

    metadata: Metadata
    services: Mapping[str, Service]
    notices: Sequence[str] = ()
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)
    undisputed: Undisputed = field(default_factory=dict)


def take_snapshot(
    wanted: WantedEntities,
    folder: FolderContents,
    feeds: Sequence[FeedRefresh],
    undisputed: Undisputed,
    now: datetime,
) -> Snapshot:
    """Return all metadata as it is now; ``undisputed`` is the content of the scope record."""
    gathered = _Gathered(wanted, folder, now)
    for feed in feeds:
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
        metadata = folder.metadata
        published = _join_scopes(institutions, valid, "")
        self._keep(FOLDER, metadata.upstreams, metadata.services, published)

    def add(self, refresh: FeedRefresh, now: datetime) -> None:
        """Add the entities that this feed may publish, and that no earlier source has."""
        feed = refresh.feed
        upstreams = (
            set(self.wanted.list_upstream_ids(feed)) - self.found["upstream"].keys() - self.broken
        )
        services = (
            set(self.wanted.list_service_ids(feed)) - self.found["service"].keys() - self.broken
        )
        found = read_feed_descriptors(refresh.entities(now), upstreams, services)
        for notice in (*found.notices, *refresh.notices()):
            self.notices.append(f"{feed.name}: {notice}")
        institutions = self.wanted.list_institutions(feed)
        published = _join_scopes(institutions, found.scopes, feed.birk_prefix)
        self._keep(feed.name, found.upstreams, found.services, published)

    def _keep(
        self,
        source: str,
        upstreams: Mapping[str, Any],
        services: Mapping[str, Any],
        institutions: Mapping[str, Any],
    ) -> None:
        more = {"upstream": upstreams, "service": services, "institution": institutions}
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
    """Yield a sentence for ignored scopes in the folder, with the setting that would use them."""
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


@dataclass(frozen=True, slots=True)
class Ending:
    """When the metadata or certificate of a party in the folder expires. No feed renews it."""

    kind: Literal["upstream", "service"]
    name: str
    entity_id: str
    what: Literal["valid_until", "certificate"]
    at: datetime
    where: str

    def sentence(self) -> str:
        """Describe the expiry for the administrator."""
        at = xml_times.write(self.at)
        if self.what == "certificate":
            what = f"the last certificate of {self.entity_id} ends {at}"
            return f"{self.where}: {what}: ask for its next metadata"
        return f"{self.where}: {self.entity_id} expires {at} and no feed renews it: fetch it again"


class LiveMetadata:
    """The metadata in force.

    ``snapshot`` is all of it with sources and notices. A new one replaces it in one assignment.
    """

    def __init__(
        self,
        folder: MetadataFolder,
        wanted: WantedEntities,
        feeds: Sequence[FeedRefresh],
        tell: EventPort,
        now: datetime,
        *,
        record: ScopeRecord,
    ) -> None:
        """Use the folder and the feeds. The last good copies of the feeds are in force at once."""
        self.folder = folder
        self.wanted = wanted
        self.feeds = tuple(feeds)
        self._tell = tell
        self._record = record
        self._known_faults: Mapping[str, str] = {}
        for feed in self.feeds:
            feed.read_changes(now)
        self._renew(now)

    @property
    def current(self) -> Metadata:
        """Return the metadata in force. Read it only once for each message."""
        return self.snapshot.metadata

    @property
    def has_missing_copy(self) -> bool:
        """Return whether a feed has no copy at all."""
        return any(feed.until() is None for feed in self.feeds)

    def refresh(self, now: datetime, *, force: bool = False) -> list[FetchOutcome]:
        """Fetch the feeds that are due, or all with ``force``, and put changes in force."""
        outcomes = self._fetch_feeds(now, force=force)
        self.read_changes(now)
        return outcomes

    def fetch(self, now: datetime) -> None:
        """Fetch the feeds that are due into their copies on disk, and report the results.

        The processes that serve logins ``read_changes`` themselves.
        """
        self._fetch_feeds(now, force=False)
        for feed in self.feeds:
            feed.read_changes(now)

    def _fetch_feeds(self, now: datetime, *, force: bool) -> list[FetchOutcome]:
        outcomes: list[FetchOutcome] = []
        for feed in self.feeds:
            outcomes += feed.fetch(now, force=force)
        for outcome in outcomes:
            self._tell_outcome(outcome)
        return outcomes

    def _tell_outcome(self, outcome: FetchOutcome) -> None:
        kind = EventKind.METADATA_FETCHED
        if outcome.result in {"refused", "older"}:
            kind = EventKind.METADATA_REFUSED
        elif outcome.result == "new":
            kind = EventKind.METADATA_RENEWED
        facts: Facts = {
            "feed": outcome.feed,
            "result": outcome.result,
            "entity": outcome.entity_id,
            "reason": outcome.cause or None,
        }
        self._tell(BrokerEvent(kind, facts))

    def read_changes(self, now: datetime) -> None:
        """Put changes on disk in force, without fetching, and report parties without metadata."""
        changed = [feed.read_changes(now) for feed in self.feeds]
        changed.append(self.folder.read_changes())
        ended = self._ends is not None and self._ends <= now - SKEW
        if ended or any(changed):
            self._renew(now)
        self._tell_changes(now)

    def faults(self, now: datetime) -> Sequence[str]:
        """Return why no login can work; empty if at least one upstream has valid metadata."""
        ids = set(self.wanted.upstream_ids)
        if not ids or any(self.current.upstream(entity_id, now) for entity_id in ids):
            return []
        return [f"no metadata of {entity_id} is in force" for entity_id in sorted(ids)]

    def alarms(self, now: datetime) -> Sequence[str]:
        """Return faults that do not stop all logins.

        These are feeds that are refused or late, parties without valid metadata, parties whose
        earlier metadata stays in force because an edit broke it, and unreadable files.
        """
        alarms: list[str] = []
        for feed in self.feeds:
            alarms += feed.alarms(now)
        return [*alarms, *self.party_faults(now).values()]

    def party_faults(self, now: datetime) -> Mapping[str, str]:
        """Return the faults of parties, by entityID, and of files of the folder, by name."""
        contents = self.folder.contents
        found = {name: self._explain_loss(name) for name in self._list_missing(now)}
        described: list[Fault] = []
        for name, faults in contents.faults.items():
            described += faults
            kept = f"{name} keeps its earlier metadata, because the new is faulty"
            found.setdefault(name, f"{kept}: {_join_faults(faults)}")
        for fault in contents.broken:
            if fault not in described:
                found[fault.where] = str(fault)
        return found

    def _explain_loss(self, name: str) -> str:
        lost = f"{name} has no metadata in force"
        contents = self.folder.contents
        if name in contents.faults:
            return f"{lost}: {_join_faults(contents.faults[name])}"
        found = self.current.upstreams.get(name) or self.current.services.get(name)
        if found is None or found.until is None:
            return lost
        where = contents.places.get(name, "its feed")
        return f"{lost}: {where}: it expired {xml_times.write(found.until)} (fetch it again)"

    def _list_missing(self, now: datetime) -> Iterator[str]:
        """Yield the entityIDs without valid metadata."""
        current = self.current
        for entity_id in self.wanted.upstream_ids:
            if current.upstream(entity_id, now) is None:
                yield entity_id
        for entity_id in self.wanted.service_ids:
            if current.service(entity_id, now) is None:
                yield entity_id

    def endings(self) -> Iterator[Ending]:
        """Yield every expiry of metadata in the folder."""
        contents = self.folder.contents
        metadata, wanted = contents.metadata, self.wanted
        for name, upstream in wanted.upstreams.items():
            idp = metadata.upstreams.get(upstream.entity_id)
            yield from _list_endings("upstream", name, idp, contents)
        for name, service in wanted.services.items():
            sp = metadata.services.get(service.entity_id)
            yield from _list_endings("service", name, sp, contents)

    def warnings(self, now: datetime) -> Sequence[str]:
        """Return what expires within fourteen days and is not renewed automatically."""
        return [each.sentence() for each in self.endings() if now < each.at <= now + _SOON]

    def _renew(self, now: datetime) -> None:
        """Put a new snapshot in force."""
        snapshot = take_snapshot(
            self.wanted, self.folder.contents, self.feeds, self._record.read(), now
        )
        self._record.keep(snapshot.undisputed)
        self.snapshot = snapshot
        self._ends = self._find_next_end(now)

    def _find_next_end(self, now: datetime) -> datetime | None:
        """Return when the next entity of a feed, or scope of the folder, expires."""
        scopes = self.folder.contents.scopes.values()
        ends = [each.until for each in scopes if each.until and each.until > now - SKEW]
        for feed in self.feeds:
            ends += [entity.until for entity in feed.entities(now).values()]
        return min(ends, default=None)

    def _tell_changes(self, now: datetime) -> None:
        before = self._known_faults
        self._known_faults = self.party_faults(now)
        for name, fault in self._known_faults.items():
            if before.get(name) != fault:
                lost = {"party": name, "fault": fault}
                self._tell(BrokerEvent(EventKind.METADATA_LOST, lost))
        for name in before:
            if name not in self._known_faults:
                self._tell(BrokerEvent(EventKind.METADATA_RECOVERED, {"party": name}))


def _join_faults(faults: Sequence[Fault]) -> str:
    return "; ".join(map(str, faults))


def _list_endings(
    kind: Literal["upstream", "service"],
    name: str,
    found: PeerDescriptor | None,
    contents: FolderContents,
) -> Iterator[Ending]:
    if found is None:
        return
    where = contents.places.get(found.entity_id, "metadata")
    if found.until:
        yield Ending(kind, name, found.entity_id, "valid_until", found.until, where)
    if found.certificates_until:
        end = found.certificates_until
        yield Ending(kind, name, found.entity_id, "certificate", end, where)


def feed_refreshes(
    contents: FolderContents, wanted: WantedEntities, state: Path
) -> Iterator[FeedRefresh]:
    """Yield the refresh of every feed, for the entities that the folder does not contain.

    A party in the folder is never taken from a feed, even if its file is broken. ``state`` is the
    folder of the copies.
    """
    metadata = contents.metadata
    in_folder = {*metadata.upstreams, *metadata.services, *contents.faults}
    for feed in wanted.feeds:
        ids = wanted.list_feed_ids(feed, in_folder)
        yield FeedRefresh(feed, ids, Copies(state / feed.name))
