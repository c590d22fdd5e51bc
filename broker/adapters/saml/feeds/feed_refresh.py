"""Refreshes one feed: decides when to fetch it, and which copy is in force."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import BinaryIO, Final, Literal

from broker.adapters.saml.feeds import aggregates, feed_fetch
from broker.adapters.saml.feeds.aggregates import Aggregate, Entity, FeedPublication
from broker.adapters.saml.feeds.feed_copies import Copies, Note, Stamp
from broker.adapters.saml.feeds.feed_fetch import Document, Feed
from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW

_EVERY: Final = timedelta(hours=1)
_SHORTEST: Final = timedelta(minutes=5)  # a shorter cacheDuration is ignored
_RETRY: Final = timedelta(minutes=5)  # after a failure
_SOON: Final = timedelta(hours=24)
_MOST_REPLACED: Final = 16
_OLDER: Final = "feed.older"


FetchResult = Literal["new", "same", "older", "absent", "busy", "refused"]


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """The result of one fetch; ``cause`` names the check that refused it."""

    feed: str
    result: FetchResult
    cause: str = ""
    entity_id: str | None = None


@dataclass(frozen=True, slots=True)
class _CopyInForce:
    """The copy in force, the stamp of the last file read, and why that file was refused."""

    stamp: Stamp | None = None
    copy: Aggregate | None = None
    cause: str = ""


class FeedRefresh:
    """One feed and its copies on disk; ``wanted`` is the entityIDs to keep."""

    def __init__(self, feed: Feed, wanted: Collection[str], copies: Copies) -> None:
        """Use the feed, without fetching or reading it yet."""
        self.feed = feed
        self._wanted = frozenset(wanted)
        self._copies = copies
        self.documents = tuple(feed.list_documents(sorted(wanted)))
        self._in_force = dict.fromkeys(self.documents, _CopyInForce())

    def fetch(self, now: datetime, *, force: bool = False) -> Iterator[FetchOutcome]:
        """Fetch every document that is due, or all with ``force``, unless another worker does.

        A fetch that fails keeps the copy. ``read_changes`` puts a new copy in force.
        """
        if not force and not any(self._is_due(document, now) for document in self.documents):
            return
        try:
            with self._copies.lock() as ours:
                if not ours:
                    yield FetchOutcome(self.feed.name, "busy")
                    return
                # Check again: another worker may have fetched it meanwhile.
                for document in self.documents:
                    if force or self._is_due(document, now):
                        yield self._fetch_document(document, now)
        except OSError:
            yield FetchOutcome(self.feed.name, "refused", "feed.disk")

    def read_changes(self, now: datetime) -> bool:
        """Read and verify every copy that has changed on disk; return whether one is new.

        If a copy fails the verification, the old one stays in force.
        """
        changed = False
        for document, held in self._in_force.items():
            stamp = self._copies.stamp(document)
            if stamp is None or stamp == held.stamp:
                continue
            try:
                copy = self._read_copy(document, held.copy, now)
            except MessageRefused as refused:
                self._in_force[document] = _CopyInForce(stamp, held.copy, refused.cause)
            else:
                self._in_force[document] = _CopyInForce(stamp, copy)
                changed = True
        return changed

    def entities(self, now: datetime) -> Mapping[str, Entity]:
        """Return the valid entities of the copies in force, by entityID."""
        entities: dict[str, Entity] = {}
        earliest = now - SKEW
        for copy in self._copies_in_force():
            kept = copy.entities.items()
            entities |= {name: entity for name, entity in kept if entity.until > earliest}
        return entities

    def notices(self) -> Iterator[str]:
        """Yield why entities of the copies in force are not used."""
        duplicates = [name for copy in self._copies_in_force() for name in copy.duplicates]
        for name in sorted(duplicates):
            yield f"{name} is in it more than once, and none of its descriptors is used"

    def until(self) -> datetime | None:
        """Return when the first of the copies in force expires, None if there is none."""
        return min((copy.until for copy in self._copies_in_force()), default=None)

    def creation_time(self) -> datetime | None:
        """Return the oldest creationInstant of the copies in force, None if there is none."""
        instants = (copy.edition.created for copy in self._copies_in_force())
        return min((instant for instant in instants if instant), default=None)

    def size(self) -> int:
        """Return the number of entities in the copies in force."""
        return sum(copy.entity_count for copy in self._copies_in_force())

    def alarms(self, now: datetime) -> list[str]:
        """Return what is wrong with the feed, although a good copy may be in force."""
        alarms = (self._find_alarm(document, now) for document in self.documents)
        return [alarm for alarm in alarms if alarm]

    def _find_alarm(self, document: Document, now: datetime) -> str | None:
        held = self._in_force[document]
        note = self._copies.read_note(document)
        where = f"{self.feed.name}: {document.entity_id or document.url}"
        cause = note.cause or held.cause
        if cause:
            return f"{where} is refused ({cause}){_describe_copy(held.copy, now)}"
        if held.copy is None:
            return None if document.entity_id else f"{where} has not been fetched yet"
        soon = min(_SOON, self.feed.trust.window / 4)
        if held.copy.until > now + soon:
            return None
        return f"{where} is good until {_format_minute(held.copy.until)} and has not been renewed"

    def _copies_in_force(self) -> Iterator[Aggregate]:
        for held in self._in_force.values():
            if held.copy:
                yield held.copy

    def _is_due(self, document: Document, now: datetime) -> bool:
        """Return whether to fetch a document: at its time, or if its copy was refused.

        If somebody removes a copy, ``broker metadata refresh`` fetches it earlier.
        """
        note = self._copies.read_note(document)
        held = self._in_force[document]
        # An attacker may have changed the file: ignore a due time in the far future.
        if note.due <= now or note.due > now + _EVERY:
            return True
        return bool(held.cause) and not note.cause

    def _fetch_document(self, document: Document, now: datetime) -> FetchOutcome:
        before = self._copies.read_note(document)
        result: FetchResult
        cause = ""
        try:
            result = self._fetch_newer(document, before, now)
        except MessageRefused as refused:
            result, cause = self._note_failure(document, before, refused.cause, now)
        return FetchOutcome(self.feed.name, result, cause, document.entity_id)

    def _fetch_newer(
        self, document: Document, before: Note, now: datetime
    ) -> Literal["new", "same"]:
        """Fetch a document, and keep it if it is verified and newer."""
        held = self._in_force[document].copy
        with self._copies.create_file() as file:
            asked = self._choose_etag(document, before, now)
            etag = feed_fetch.fetch(self.feed, document, asked, file)
            if etag is None:
                due = now + self._find_interval(held, now)
                self._copies.write_note(document, replace(before, due=due))
                return "same"
            file.seek(0)
            found = self._verify(file, document, now)
            replaced = self._refuse_older(found.edition, before, held, now)
            self._copies.keep(file, document)
        due = now + self._find_interval(found, now)
        self._copies.write_note(document, Note(due, etag, "", found.edition, replaced))
        return "new"

    def _choose_etag(self, document: Document, before: Note, now: datetime) -> str:
        """Return the ETag of the copy in force; none if the document must be fetched again."""
        held = self._in_force[document]
        if held.copy is None or held.copy.until <= now or held.cause or before.cause:
            return ""
        return before.etag if self._copies.stamp(document) else ""

    def _note_failure(
        self, document: Document, before: Note, cause: str, now: datetime
    ) -> tuple[FetchResult, str]:
        """Store a failure, and fetch again after a pause.

        It is no failure if the MDQ server does not know the entity and there is no copy.
        """
        if cause == "feed.absent" and self._in_force[document].copy is None:
            self._copies.write_note(document, replace(before, due=now + _EVERY, cause=""))
            return "absent", ""
        self._copies.write_note(document, replace(before, due=now + _RETRY, cause=cause))
        return "older" if cause == _OLDER else "refused", cause

    def _refuse_older(
        self, found: FeedPublication, before: Note, held: Aggregate | None, now: datetime
    ) -> tuple[str, ...]:
        """Refuse an older publication; return the digests that this publication replaces.

        An older publication is signed and may be valid for days. An attacker may replay it to
        suppress a newer one, or a mirror may be late. If neither creationInstant nor validUntil
        gives an order, the later arrival wins, and the replaced publication is refused from then
        on.
        """
        last = list(self._list_last_publications(before, held, now))
        if any(publication.name not in {"", found.name} for publication in last):
            # A publisher may sign all its feeds, those of test federations too, with the same key.
            raise MessageRefused("feed.other_feed")
        if found.digest in before.replaced:
            raise MessageRefused(_OLDER)
        if any(found.is_before(publication) for publication in last):
            raise MessageRefused(_OLDER)
        level = [
            publication.digest
            for publication in last
            if not publication.is_before(found) and publication.digest != found.digest
        ]
        if not level:
            return before.replaced
        digests = tuple(dict.fromkeys((*before.replaced, *level)))
        return digests[-_MOST_REPLACED:]

    def _list_last_publications(
        self, before: Note, held: Aggregate | None, now: datetime
    ) -> Iterator[FeedPublication]:
        """Yield the stored publication and the one in force, if they are possible."""
        remembered = before.edition
        if remembered and self._is_possible(remembered, now):
            yield remembered
        if held and self._is_possible(held.edition, now):
            yield held.edition

    def _is_possible(self, publication: FeedPublication, now: datetime) -> bool:
        """Return whether such a publication can exist; a changed note must not block the feed."""
        if publication.created and publication.created > now + SKEW:
            return False
        return publication.until <= now + self.feed.trust.window + SKEW

    def _find_interval(self, copy: Aggregate | None, now: datetime) -> timedelta:
        """Return the time until the next fetch, well before the copy expires."""
        if copy is None:
            return _EVERY
        asked = max(copy.cached_for or _EVERY, _SHORTEST)
        half_of_life = max((copy.until - now) / 2, timedelta(seconds=1))
        return min(_EVERY, asked, half_of_life)

    def _read_copy(self, document: Document, held: Aggregate | None, now: datetime) -> Aggregate:
        with self._copies.open_copy(document) as file:
            if file is None:
                raise MessageRefused("feed.unreadable")
            found = self._verify(file, document, now)
        if held and found.edition.is_before(held.edition):
            raise MessageRefused(_OLDER)
        return found

    def _verify(self, file: BinaryIO, document: Document, now: datetime) -> Aggregate:
        """Verify a document; with MDQ, refuse a document about another entity."""
        found = aggregates.read(file, self.feed.trust, self._wanted, now)
        asked = document.entity_id
        if asked and (found.entity_count != 1 or asked not in found.entities):
            raise MessageRefused("feed.other_entity")
        return found


def _describe_copy(copy: Aggregate | None, now: datetime) -> str:
    if copy is None:
        return "; there is no copy"
    if copy.until <= now:
        return f"; the last good copy expired {_format_minute(copy.until)}"
    return f"; the last good copy lasts until {_format_minute(copy.until)}"


def _format_minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
