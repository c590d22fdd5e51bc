"""Follows one feed: when it is fetched again, and which copy of it is in force."""

import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import BinaryIO, Final, Literal

from broker.adapters.saml.feeds import aggregates, feed_fetch
from broker.adapters.saml.feeds.aggregates import Aggregate, Entity, FeedPublication
from broker.adapters.saml.feeds.feed_copies import Copies, Note, Stamp
from broker.adapters.saml.feeds.feed_fetch import Document, Feed, Marks
from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW

_SHORTEST: Final = timedelta(minutes=5)  # a cacheDuration below is obeyed no further
_AGAIN: Final = timedelta(minutes=1)  # after a failure, doubled at each more
_LONGEST_PAUSE: Final = timedelta(hours=1)
_MOST_DOUBLINGS: Final = 6
_SOON: Final = timedelta(hours=24)
_MOST_REPLACED: Final = 16
_OLDER: Final = "feed.older"


FetchResult = Literal["new", "same", "older", "absent", "busy", "refused"]


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What became of one fetch; ``cause`` names the check that refused it."""

    feed: str
    result: FetchResult
    cause: str = ""
    mended: bool = False
    entity_id: str | None = None


@dataclass(frozen=True, slots=True)
class _CopyInForce:
    """The copy in force, as read from the file of that stamp, and why a later one is not."""

    stamp: Stamp | None = None
    copy: Aggregate | None = None
    cause: str = ""


class FeedRefresh:
    """One feed over its copies on disk; ``wanted`` holds the entityIDs that are kept of it."""

    def __init__(self, feed: Feed, wanted: Collection[str], copies: Copies) -> None:
        """Take the feed; nothing is fetched or read yet."""
        self.feed = feed
        self._wanted = frozenset(wanted)
        self._copies = copies
        self.documents = tuple(feed.documents(iter(sorted(wanted))))
        self._in_force = dict.fromkeys(self.documents, _CopyInForce())

    def fetch(self, now: datetime, *, force: bool = False) -> Iterator[FetchOutcome]:
        """Fetch every document that is due, if no other worker does.

        With ``force`` those that are not due too. Whatever happens, the copy in force stays or a
        verified one replaces it; ``look`` reads it.
        """
        if not force and not any(self._due(document, now) for document in self.documents):
            return
        try:
            with self._copies.turn() as ours:
                if not ours:
                    yield FetchOutcome(self.feed.name, "busy")
                    return
                self._copies.sweep()
                # Looked at again: the worker that had the turn before may have done it.
                for document in self.documents:
                    if force or self._due(document, now):
                        yield self._fetch_document(document, now)
        except OSError:
            yield FetchOutcome(self.feed.name, "refused", "feed.disk")

    def look(self, now: datetime) -> bool:
        """Read every copy that has changed on disk, by whatever worker; return whether one has.

        It is verified again: a file is somebody's to change. One that does not pass leaves the old
        in force.
        """
        changed = False
        for document, held in self._in_force.items():
            stamp = self._copies.stamp(document)
            if stamp is None or stamp == held.stamp:
                continue
            try:
                copy = self._read(document, held.copy, now)
            except MessageRefused as refused:
                self._in_force[document] = _CopyInForce(stamp, held.copy, refused.cause)
            else:
                self._in_force[document] = _CopyInForce(stamp, copy)
                changed = True
        return changed

    def entities(self, now: datetime) -> Mapping[str, Entity]:
        """Return what is kept of the copies in force, by entityID."""
        entities: dict[str, Entity] = {}
        earliest = now - SKEW
        for copy in self._copies_in_force():
            kept = copy.entities.items()
            entities |= {name: entity for name, entity in kept if entity.until > earliest}
        return entities

    def notices(self) -> Iterator[str]:
        """Name the entities that are not believed though good copies in force hold them."""
        twice = [name for copy in self._copies_in_force() for name in copy.twice]
        for name in sorted(twice):
            yield f"{name} stands in it twice, and is believed in neither place"

    def until(self) -> datetime | None:
        """Return when the first of the copies in force ends, None where there is none."""
        return min((copy.until for copy in self._copies_in_force()), default=None)

    def created(self) -> datetime | None:
        """Return when the oldest of the copies in force was made, None where it is not written."""
        instants = (copy.edition.created for copy in self._copies_in_force())
        return min((instant for instant in instants if instant), default=None)

    def size(self) -> int:
        """Return how many entities the copies in force hold in all."""
        return sum(copy.size for copy in self._copies_in_force())

    def alarms(self, now: datetime) -> list[str]:
        """Return what is wrong although a good copy may be in force; empty when nothing is."""
        alarms = (self._alarm(document, now) for document in self.documents)
        return [alarm for alarm in alarms if alarm]

    def _alarm(self, document: Document, now: datetime) -> str | None:
        held = self._in_force[document]
        note = self._copies.note(document)
        where = f"{self.feed.name}: {document.entity_id or document.url}"
        cause = note.cause or held.cause
        if cause:
            return f"{where} is refused ({cause}){_in_force(held.copy, now)}"
        if held.copy is None:
            if note.good is None and not document.entity_id:
                return f"{where} has not been fetched yet"
            return None
        soon = min(_SOON, self.feed.trust.window / 4)
        if held.copy.until > now + soon:
            return None
        return f"{where} is good until {_minute(held.copy.until)} and has not been renewed"

    def _copies_in_force(self) -> Iterator[Aggregate]:
        for held in self._in_force.values():
            if held.copy:
                yield held.copy

    def _due(self, document: Document, now: datetime) -> bool:
        note = self._copies.note(document)
        held = self._in_force[document]
        # The file is anybody's who can write here: a due time in the far future stops nothing.
        if note.due <= now or note.due > now + self.feed.every:
            return True
        if note.failed:
            return False
        missing = note.kept and self._copies.stamp(document) is None
        return missing or bool(held.cause)

    def _fetch_document(self, document: Document, now: datetime) -> FetchOutcome:
        before = self._copies.note(document)
        try:
            result = self._fetched(document, before, now)
        except MessageRefused as refused:
            return self._refused(document, before, refused.cause, now)
        return FetchOutcome(
            feed=self.feed.name,
            result=result,
            mended=bool(before.cause),
            entity_id=document.entity_id,
        )

    def _fetched(self, document: Document, before: Note, now: datetime) -> Literal["new", "same"]:
        """Fetch a document, and keep it if it is verified and newer; remember that it was good."""
        held = self._in_force[document].copy
        note = replace(before, failed=0, cause="", good=now, kept=True)
        marks = self._marks(document, before, now)
        with self._copies.making() as (file, path):
            new_marks = feed_fetch.fetch(self.feed, document, marks, file)
            if new_marks is None:
                due = now + self._interval(held, now)
                self._copies.remember(document, replace(note, due=due))
                return "same"
            file.seek(0)
            found = self._verified(file, document, now)
            replaced = self._replaced(found.edition, before, held, now)
            self._copies.keep(file, path, document)
        note = replace(
            note,
            due=now + self._interval(found, now),
            marks=new_marks,
            edition=found.edition,
            replaced=replaced,
        )
        self._copies.remember(document, note)
        return "new"

    def _marks(self, document: Document, before: Note, now: datetime) -> Marks:
        """Return the marks of the copy in force; none where it must be fetched whole."""
        held = self._in_force[document]
        if held.copy is None or held.copy.until <= now or held.cause:
            return Marks()
        if self._copies.stamp(document) is None:
            return Marks()
        return before.marks

    def _refused(self, document: Document, before: Note, cause: str, now: datetime) -> FetchOutcome:
        """Remember a failure, and fetch again after a pause that grows with every further one."""
        if cause == "feed.absent" and self._in_force[document].copy is None:
            return self._absent(document, before, now)
        doublings = min(before.failed, _MOST_DOUBLINGS)
        pause = min(_AGAIN * 2**doublings, _LONGEST_PAUSE, self.feed.every)
        note = replace(before, due=now + self._spread(pause), failed=before.failed + 1, cause=cause)
        self._copies.remember(document, note)
        result: FetchResult = "older" if cause == _OLDER else "refused"
        return FetchOutcome(self.feed.name, result, cause, entity_id=document.entity_id)

    def _absent(self, document: Document, before: Note, now: datetime) -> FetchOutcome:
        """Remember that the feed has no such entity, which is no failure."""
        note = replace(
            before,
            due=now + self._spread(self.feed.every),
            marks=Marks(),
            failed=0,
            cause="",
            good=now,
            kept=False,
        )
        self._copies.remember(document, note)
        return FetchOutcome(self.feed.name, "absent", entity_id=document.entity_id)

    def _replaced(
        self, found: FeedPublication, before: Note, held: Aggregate | None, now: datetime
    ) -> tuple[str, ...]:
        """Return the digests that this publication replaces, and refuse one that is older.

        It is signed and may be good for days: an attacker on the way brought it again to hold back
        what came after it, or a mirror lags. What neither creationInstant nor end puts in order is
        kept as it comes, but not a second time.
        """
        last = list(self._last_publications(before, held, now))
        if any(publication.name not in {"", found.name} for publication in last):
            # One key signs all feeds of a publisher: of tests, of other federations, of services
            # only.
            raise MessageRefused("feed.other_feed")
        if found.digest in before.replaced:
            raise MessageRefused(_OLDER)
        if any(found.before(publication) for publication in last):
            raise MessageRefused(_OLDER)
        level = [
            publication.digest
            for publication in last
            if not publication.before(found) and publication.digest != found.digest
        ]
        if not level:
            return before.replaced
        digests = tuple(dict.fromkeys((*before.replaced, *level)))
        return digests[-_MOST_REPLACED:]

    def _last_publications(
        self, before: Note, held: Aggregate | None, now: datetime
    ) -> Iterator[FeedPublication]:
        """Yield the publication remembered and the one in force, as far as they can be true."""
        remembered = before.edition
        if remembered and self._possible(remembered, now):
            yield remembered
        if held and self._possible(held.edition, now):
            yield held.edition

    def _possible(self, publication: FeedPublication, now: datetime) -> bool:
        """Return whether there can be such a publication by now.

        A note that an attacker changed bars nothing for ever.
        """
        if publication.created and publication.created > now + SKEW:
            return False
        return publication.until <= now + self.feed.trust.window + SKEW

    def _interval(self, copy: Aggregate | None, now: datetime) -> timedelta:
        """Return how long a copy is not asked for again; it is renewed well before it ends."""
        every = self.feed.every
        if copy is None:
            return self._spread(every)
        shortest = min(_SHORTEST, every)
        asked = max(copy.cached_for or every, shortest)
        half_of_life = max((copy.until - now) / 2, timedelta(seconds=1))
        return self._spread(min(every, asked, half_of_life))

    @staticmethod
    def _spread(pause: timedelta) -> timedelta:
        """Shorten a pause by up to a fifth, so that not all machines come at once."""
        return pause * (1 - secrets.randbelow(200) / 1000)

    def _read(self, document: Document, held: Aggregate | None, now: datetime) -> Aggregate:
        with self._copies.opened(document) as file:
            if file is None:
                raise MessageRefused("feed.unreadable")
            found = self._verified(file, document, now)
        if held and found.edition.before(held.edition):
            raise MessageRefused(_OLDER)
        return found

    def _verified(self, file: BinaryIO, document: Document, now: datetime) -> Aggregate:
        """Refuse the answer about one entity to the question about another, signed as it may be."""
        found = aggregates.read(file, self.feed.trust, self._wanted, now)
        asked = document.entity_id
        if asked and (found.size != 1 or asked not in found.entities):
            raise MessageRefused("feed.other_entity")
        return found


def _in_force(copy: Aggregate | None, now: datetime) -> str:
    if copy is None:
        return "; there is no copy"
    if copy.until <= now:
        return f"; the last good copy ran out {_minute(copy.until)}"
    return f"; the last good copy lasts until {_minute(copy.until)}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
