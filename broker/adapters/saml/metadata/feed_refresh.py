"""Follows one feed: when it is fetched again, what becomes of what came, and which copy of it is in force."""

import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from broker.adapters.saml.metadata import aggregates, feed_fetch
from broker.adapters.saml.metadata.aggregates import Aggregate, Entity, FeedPublication
from broker.adapters.saml.metadata.feed_copies import Copies, Note, Stamp
from broker.adapters.saml.metadata.feed_fetch import Document, Feed, Marks
from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW

_SHORTEST: Final = timedelta(minutes=5)  # a cacheDuration below is obeyed no further
_AGAIN: Final = timedelta(minutes=1)  # after a failure, doubled at each more
_LONGEST_PAUSE: Final = timedelta(hours=1)
_MOST_DOUBLINGS: Final = 6
_SOON: Final = timedelta(hours=24)
_MOST_REPLACED: Final = 16
_OLDER: Final = "feed.older"


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What became of one fetch; ``cause`` names the check that refused it."""

    feed: str
    result: Literal["new", "same", "older", "absent", "busy", "refused"]
    cause: str = ""
    mended: bool = False
    entity_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """The copy in force, as read from the file of that stamp, and why a later one is not."""

    stamp: Stamp | None = None
    copy: Aggregate | None = None
    cause: str = ""


class FeedRefresh:
    """One feed over its copies on disk; ``wanted`` holds the entityIDs that are kept of it."""

    def __init__(self, feed: Feed, wanted: Collection[str], copies: Copies) -> None:
        """Take the feed; nothing is fetched or read yet."""
        self.feed, self._wanted, self._copies = feed, frozenset(wanted), copies
        self.documents = tuple(feed.documents(iter(sorted(wanted))))
        self._held = dict.fromkeys(self.documents, _Held())

    def fetch(self, now: datetime, *, force: bool = False) -> Iterator[FetchOutcome]:
        """Fetch every document that is due, if no other worker does; with ``force`` those that are not due too.

        Whatever happens, the copy in force stays or a verified one takes its place; ``look`` reads
        it.
        """
        if not force and not any(self._due(each, now) for each in self.documents):
            return
        try:
            with self._copies.turn() as ours:
                if not ours:
                    yield FetchOutcome(self.feed.name, "busy")
                    return
                self._copies.sweep()
                # Looked at again: whoever had the turn before may have done it.
                for each in self.documents:
                    if force or self._due(each, now):
                        yield self._one(each, now)
        except OSError:
            yield FetchOutcome(self.feed.name, "refused", "feed.disk")

    def look(self, now: datetime) -> bool:
        """Take up each copy that has changed on disk, by whatever worker, and say whether one has.

        It is verified again: a file is somebody's to change. One that does not pass leaves the old
        in force.
        """
        changed = False
        for document, held in self._held.items():
            stamp = self._copies.stamp(document)
            if stamp is None or stamp == held.stamp:
                continue
            try:
                self._held[document] = _Held(stamp, self._read(document, held.copy, now))
                changed = True
            except MessageRefused as refused:
                self._held[document] = _Held(stamp, held.copy, refused.cause)
        return changed

    def entities(self, now: datetime) -> Mapping[str, Entity]:
        """Give what is kept of the copies in force, by entityID."""
        every = [entity for each in self._copies_held() for entity in each.entities.items()]
        return {name: entity for name, entity in every if entity.until > now - SKEW}

    def told(self) -> Iterator[str]:
        """Say which entities are not believed though the copies in force, good as they are, hold them."""
        for name in sorted(name for each in self._copies_held() for name in each.twice):
            yield f"{name} stands in it twice, and is believed in neither place"

    def until(self) -> datetime | None:
        """Give when the first of the copies in force ends, None where there is none."""
        return min((each.until for each in self._copies_held()), default=None)

    def created(self) -> datetime | None:
        """Give when the oldest of the copies in force was made, None where none of them says so."""
        return min(
            (each.edition.created for each in self._copies_held() if each.edition.created),
            default=None,
        )

    def size(self) -> int:
        """Give how many entities the copies in force hold in all."""
        return sum(each.size for each in self._copies_held())

    def alarms(self, now: datetime) -> list[str]:
        """Say what is wrong although a good copy may be in force; empty when nothing is."""
        found = []
        for document, held in self._held.items():
            note = self._copies.note(document)
            where = f"{self.feed.name}: {document.entity_id or document.url}"
            if cause := note.cause or held.cause:
                found.append(f"{where} is refused ({cause}){_in_force(held.copy, now)}")
            elif held.copy is None and note.good is None and not document.entity_id:
                found.append(f"{where} has not been fetched yet")
            elif held.copy and held.copy.until <= now + min(_SOON, self.feed.trust.window / 4):
                found.append(
                    f"{where} is good until {held.copy.until:%Y-%m-%d %H:%M} UTC and has not been renewed"
                )
        return found

    def _copies_held(self) -> Iterator[Aggregate]:
        return (held.copy for held in self._held.values() if held.copy)

    def _due(self, document: Document, now: datetime) -> bool:
        note, held = self._copies.note(document), self._held[document]
        lost = held.cause or (note.kept and self._copies.stamp(document) is None)
        # The file is anybody's who can write here: a due time in the far future stops nothing.
        return note.due <= now or note.due > now + self.feed.every or bool(lost and not note.failed)

    def _one(self, document: Document, now: datetime) -> FetchOutcome:
        before, held = self._copies.note(document), self._held[document]
        try:
            result = self._fetched(document, before, now)
        except MessageRefused as refused:
            if refused.cause == "feed.absent" and held.copy is None:
                due = now + self._spread(self.feed.every)
                self._copies.remember(
                    document,
                    replace(
                        before, due=due, marks=Marks(), failed=0, cause="", good=now, kept=False
                    ),
                )
                return FetchOutcome(self.feed.name, "absent", entity_id=document.entity_id)
            pause = min(
                _AGAIN * 2 ** min(before.failed, _MOST_DOUBLINGS), _LONGEST_PAUSE, self.feed.every
            )
            note = replace(
                before, due=now + self._spread(pause), failed=before.failed + 1, cause=refused.cause
            )
            self._copies.remember(document, note)
            kind: Literal["older", "refused"] = "older" if refused.cause == _OLDER else "refused"
            return FetchOutcome(self.feed.name, kind, refused.cause, entity_id=document.entity_id)
        return FetchOutcome(
            self.feed.name, result, mended=bool(before.cause), entity_id=document.entity_id
        )

    def _fetched(self, document: Document, before: Note, now: datetime) -> Literal["new", "same"]:
        held = self._held[document].copy
        sound = self._copies.stamp(document) is not None and not self._held[document].cause
        whole = held is not None and held.until > now and sound
        note = replace(before, failed=0, cause="", good=now, kept=True)
        with self._copies.making() as (made, path):
            got = feed_fetch.fetch(self.feed, document, before.marks if whole else Marks(), made)
            if got is None:
                self._copies.remember(document, replace(note, due=now + self._interval(held, now)))
                return "same"
            made.seek(0)
            found = self._verified(
                aggregates.read(made, self.feed.trust, self._wanted, now), document
            )
            replaced = self._replaced(found.edition, before, held, now)
            self._copies.keep(made, path, document)
        due = now + self._interval(found, now)
        self._copies.remember(
            document, replace(note, due=due, marks=got, edition=found.edition, replaced=replaced)
        )
        return "new"

    def _replaced(
        self, found: FeedPublication, before: Note, held: Aggregate | None, now: datetime
    ) -> tuple[str, ...]:
        """Give the digests that this edition takes the place of, and refuse one that was published before the last.

        It is signed and may be good for days: somebody on the way brought it again to hold back
        what came after it, or a mirror lags. What neither creationInstant nor end puts in order is
        taken as it comes, but not a second time.
        """
        last = [
            each
            for each in (before.edition, held.edition if held else None)
            if each and self._may_be(each, now)
        ]
        if any(each.name and each.name != found.name for each in last):
            # One key signs all feeds of a publisher: of tests, of other federations, of services
            # only.
            raise MessageRefused("feed.other_feed")
        if found.digest in before.replaced or any(found.before(each) for each in last):
            raise MessageRefused(_OLDER)
        level = [
            each.digest for each in last if not each.before(found) and each.digest != found.digest
        ]
        return (
            tuple(dict.fromkeys((*before.replaced, *level)))[-_MOST_REPLACED:]
            if level
            else before.replaced
        )

    def _may_be(self, edition: FeedPublication, now: datetime) -> bool:
        """Say whether an edition may be remembered truly: a note that somebody changed bars nothing for ever."""
        return (
            edition.created or now
        ) <= now + SKEW and edition.until <= now + self.feed.trust.window + SKEW

    def _interval(self, copy: Aggregate | None, now: datetime) -> timedelta:
        every = self.feed.every
        if copy is None:
            return self._spread(every)
        asked = max(copy.cached_for or every, min(_SHORTEST, every))
        return self._spread(min(every, asked, max((copy.until - now) / 2, timedelta(seconds=1))))

    @staticmethod
    def _spread(pause: timedelta) -> timedelta:
        """Shorten a pause by up to a fifth, so that not everybody comes at once."""
        return pause * (1 - secrets.randbelow(200) / 1000)

    def _read(self, document: Document, held: Aggregate | None, now: datetime) -> Aggregate:
        with self._copies.opened(document) as file:
            if file is None:
                raise MessageRefused("feed.unreadable")
            found = self._verified(
                aggregates.read(file, self.feed.trust, self._wanted, now), document
            )
        if held and found.edition.before(held.edition):
            raise MessageRefused(_OLDER)
        return found

    @staticmethod
    def _verified(found: Aggregate, document: Document) -> Aggregate:
        """Refuse the answer about one entity to the question about another, signed as it may be."""
        if document.entity_id and (found.size != 1 or document.entity_id not in found.entities):
            raise MessageRefused("feed.other_entity")
        return found


def _in_force(copy: Aggregate | None, now: datetime) -> str:
    if copy is None:
        return "; there is no copy"
    ends = f"{copy.until:%Y-%m-%d %H:%M} UTC"
    return (
        f"; the last good copy ran out {ends}"
        if copy.until <= now
        else f"; the last good copy lasts until {ends}"
    )
