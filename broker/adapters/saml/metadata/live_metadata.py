"""The metadata of the moment: the folder and the feeds, looked at again while logins run."""

from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeVar

from broker.adapters.saml.feeds.feed_copies import Copies
from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.feeds.feed_refresh import FeedRefresh, FetchOutcome
from broker.adapters.saml.metadata.metadata_folder import FolderContents, Metadata, MetadataFolder
from broker.adapters.saml.metadata.published_scopes import ScopeRecord, spellings
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor, UpstreamDescriptor
from broker.adapters.saml.metadata.snapshots import Snapshot, lacking, snapshot
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.adapters.saml.xml_security import xml_times
from broker.core.login.transaction import SKEW

_SOON: Final = timedelta(days=14)
_Configured = TypeVar("_Configured")


@dataclass(frozen=True, slots=True)
class PartyChange:
    """A party or a file of the folder that was lost, or came back (``fault`` is None)."""

    name: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """An end of what a file of the folder holds of a party, which nothing renews."""

    kind: Literal["upstream", "service"]
    name: str
    entity_id: str
    what: Literal["valid_until", "certificate"]
    at: datetime
    where: str

    def sentence(self) -> str:
        """Tell the administrator."""
        at = xml_times.write(self.at)
        if self.what == "certificate":
            what = f"the last certificate of {self.entity_id} ends {at}"
            return f"{self.where}: {what}: ask for its next metadata"
        return f"{self.where}: {self.entity_id} runs out {at} and nothing renews it: fetch it again"


class LiveMetadata:
    """The metadata of the moment; only a good state replaces it, in one assignment."""

    def __init__(
        self,
        folder: MetadataFolder,
        wanted: WantedEntities,
        followed: Sequence[FeedRefresh],
        tell: Callable[[FetchOutcome | PartyChange], None],
        now: datetime,
        *,
        record: ScopeRecord,
    ) -> None:
        """Take the folder, and feeds, whose last good copies are in force at once."""
        self.folder = folder
        self.wanted = wanted
        self.followed = tuple(followed)
        self._tell = tell
        self._record = record
        self._amiss: Mapping[str, str] = {}
        for feed in self.followed:
            feed.look(now)
        self._renew(now)

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
        """Return whether a feed has no copy at all: logins would begin without it."""
        return any(feed.until() is None for feed in self.followed)

    def refresh(self, now: datetime, *, force: bool = False) -> list[FetchOutcome]:
        """Fetch what is due, or all with ``force``, and put in force what has changed."""
        outcomes = self._fetched(now, force=force)
        self.look(now)
        return outcomes

    def fetch(self, now: datetime) -> None:
        """Fetch what is due into the copies on disk, and tell what became of it; never fails.

        Nothing else is put in force by it: the processes that serve ``look`` at the copies.
        """
        self._fetched(now, force=False)
        for feed in self.followed:
            feed.look(now)

    def _fetched(self, now: datetime, *, force: bool) -> list[FetchOutcome]:
        outcomes: list[FetchOutcome] = []
        for feed in self.followed:
            outcomes += feed.fetch(now, force=force)
        for outcome in outcomes:
            self._tell(outcome)
        return outcomes

    def look(self, now: datetime) -> None:
        """Put in force what has changed on disk, in one assignment; nothing is fetched.

        What is lost or came back since it was last called is told.
        """
        changed = [feed.look(now) for feed in self.followed]
        changed.append(self.folder.look())
        ended = self._ends is not None and self._ends <= now - SKEW
        if ended or any(changed):
            self._renew(now)
        self._tell_changes(now)

    def faults(self, now: datetime) -> Sequence[str]:
        """Return why no login would work; empty while any upstream can be asked."""
        ids = set(self.wanted.upstream_ids)
        if not ids or any(self.current.upstream(entity_id, now) for entity_id in ids):
            return []
        return [f"no metadata of {entity_id} is in force" for entity_id in sorted(ids)]

    def alarms(self, now: datetime) -> Sequence[str]:
        """Return what is amiss although logins may work.

        Feeds that are refused or late, parties without metadata in force or with what was good
        before an edit broke it, files that are no metadata.
        """
        alarms: list[str] = []
        for feed in self.followed:
            alarms += feed.alarms(now)
        return [*alarms, *self.amiss(now).values()]

    def amiss(self, now: datetime) -> Mapping[str, str]:
        """Return what is wrong with parties, by entityID, and with files of the folder, by name."""
        contents = self.folder.contents
        amiss: dict[str, str] = {}
        for name in self._missing(now):
            amiss[name] = self._why_lost(name)
        told: list[str] = []
        for name, faults in contents.faults.items():
            sentences = [str(fault) for fault in faults]
            told += sentences
            because = "; ".join(sentences)
            amiss.setdefault(name, f"{name} is as it was before its metadata broke: {because}")
        for fault in contents.broken:
            sentence = str(fault)
            if sentence not in told:
                amiss[fault.where] = sentence
        return amiss

    def _why_lost(self, name: str) -> str:
        lost = f"{name} has no metadata in force"
        contents = self.folder.contents
        if name in contents.faults:
            because = "; ".join(map(str, contents.faults[name]))
            return f"{lost}: {because}"
        found = self.current.upstreams.get(name) or self.current.services.get(name)
        if found is None or found.until is None:
            return lost
        where = contents.places.get(name, "its feed")
        return f"{lost}: {where}: it ran out {xml_times.write(found.until)} (fetch it again)"

    def _missing(self, now: datetime) -> Iterator[str]:
        """Yield the entityIDs that have no metadata in force."""
        current = self.current
        for entity_id in self.wanted.upstream_ids:
            if current.upstream(entity_id, now) is None:
                yield entity_id
        for entity_id in self.wanted.service_ids:
            if current.service(entity_id, now) is None:
                yield entity_id

    def endings(self) -> Iterator[Ending]:
        """Yield every end of what the folder holds: no feed renews it."""
        contents = self.folder.contents
        for name, upstream in self.wanted.upstreams.items():
            idp = contents.metadata.upstreams.get(upstream.entity_id)
            if idp is not None:
                yield from _endings("upstream", name, idp, contents)
        for name, service in self.wanted.services.items():
            sp = contents.metadata.services.get(service.entity_id)
            if sp is not None:
                yield from _endings("service", name, sp, contents)

    def warnings(self, now: datetime) -> Sequence[str]:
        """Return what ends within fourteen days and is not renewed by itself."""
        return [each.sentence() for each in self.endings() if now < each.at <= now + _SOON]

    def _renew(self, now: datetime) -> None:
        """Put a new snapshot in force."""
        made = snapshot(self.wanted, self.folder.contents, self.followed, self._record.read(), now)
        self._record.keep(made.undisputed)
        self._snapshot = made
        self._ends = self._next_end(now)

    def _next_end(self, now: datetime) -> datetime | None:
        """Return when an entity of the feeds, or scopes of the folder, in the snapshot end next."""
        scopes = self.folder.contents.scopes.values()
        ends = [each.until for each in scopes if each.until and each.until > now - SKEW]
        for feed in self.followed:
            ends += [entity.until for entity in feed.entities(now).values()]
        return min(ends, default=None)

    def _tell_changes(self, now: datetime) -> None:
        before = self._amiss
        self._amiss = self.amiss(now)
        for name, fault in self._amiss.items():
            if before.get(name) != fault:
                self._tell(PartyChange(name, fault))
        for name in before:
            if name not in self._amiss:
                self._tell(PartyChange(name, None))


def _endings(
    kind: Literal["upstream", "service"],
    name: str,
    found: UpstreamDescriptor | ServiceDescriptor,
    contents: FolderContents,
) -> Iterator[Ending]:
    where = contents.places.get(found.entity_id, "metadata")
    if found.until:
        yield Ending(kind, name, found.entity_id, "valid_until", found.until, where)
    if found.certificates_until:
        end = found.certificates_until
        yield Ending(kind, name, found.entity_id, "certificate", end, where)


def feed_refreshes(
    feeds: Sequence[Feed], contents: FolderContents, wanted: WantedEntities, state: Path
) -> Iterator[FeedRefresh]:
    """Yield the refresh of every feed: it keeps what it speaks for and the folder does not hold.

    Whom the administrator has written down no feed speaks for, though the file is broken. ``state``
    is the folder of the copies.
    """
    local = {*contents.metadata.upstreams, *contents.metadata.services, *contents.faults}
    for feed in feeds:
        ids = set(lacking(wanted.upstreams_of(feed, feeds), local))
        ids.update(lacking(wanted.services_of(feed, feeds), local))
        for institution in wanted.institutions_of(feed, feeds):
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

    def items(self) -> ItemsView[str, _Configured]:
        """Return the names with what they name, all of one moment."""
        return self._current().items()

    def values(self) -> ValuesView[_Configured]:
        """Return what is named, all of one moment."""
        return self._current().values()
