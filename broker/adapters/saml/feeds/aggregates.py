"""Reads a signed feed of metadata as a stream: verified whole, kept in parts.

What is kept counts only after the digest over every octet has been compared with the one that the
pinned key signed. A tree of the whole, with its many thousand entities, would take four times the
memory that the file does.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from lxml import etree

from broker.adapters.saml.feeds.streamed_signature import BoundedParse, EnvelopedSignature
from broker.adapters.saml.xml_security import signature, xml_times
from broker.adapters.saml.xml_security.canonical_form import canonicalize
from broker.adapters.saml.xml_security.xml_names import ENTITIES, ENTITY, EXTENSIONS, SIGNATURE
from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW

_PUBLICATION: Final = "{urn:oasis:names:tc:SAML:metadata:rpi}PublicationInfo"
_DURATION: Final = re.compile(
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})(?:\.\d+)?S)?)?"
)
_LONGEST_NAME: Final = 500  # characters of a feed's name that are remembered


@dataclass(frozen=True, slots=True)
class FeedPublication:
    """One publication of a feed.

    ``created`` is when its publisher made it, None where it is not written; ``until`` when it ends;
    ``digest`` what was signed. ``name`` is which of its publisher's feeds it is, empty where it is
    not written (saml-metadata 2.3.1).
    """

    created: datetime | None
    until: datetime
    digest: str
    name: str = ""

    def before(self, other: "FeedPublication") -> bool:
        """Return whether this was published before another.

        By creationInstant where both have one, else by the end. The end alone would let a
        short-lived feed, which takes something back, lose to the one before it.
        """
        if self.created and other.created and self.created != other.created:
            return self.created < other.created
        return self.until < other.until


@dataclass(frozen=True, slots=True)
class Trust:
    """What a feed is held against: its keys, its largest size in octets, its longest validity."""

    keys: tuple[signature.VerifyKey, ...]
    window: timedelta
    largest: int


@dataclass(frozen=True, slots=True)
class Entity:
    """One EntityDescriptor in canonical octets, and until when it and all around it may be used."""

    entity_id: str
    octets: bytes
    until: datetime


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A verified feed: its publication, how long it may be cached, and the entities wanted of it.

    ``twice`` are the entityIDs wanted that stand there more than once: none of them can be
    believed.
    """

    edition: FeedPublication
    cached_for: timedelta | None
    entities: Mapping[str, Entity]
    twice: frozenset[str]
    size: int  # entities in all

    @property
    def until(self) -> datetime:
        """Return until when it may be used."""
        return self.edition.until


def read(stream: BinaryIO, trust: Trust, wanted: Collection[str], now: datetime) -> Aggregate:
    """Verify a feed, or the document of one entity, and return what is ``wanted`` of it.

    ``wanted`` are entityIDs. The root is the signed element, KeyInfo is not read.
    ``MessageRefused``: ``feed.size``, ``feed.unreadable``, ``feed.doctype``, ``feed.root``,
    ``feed.unsigned``, ``feed.signatures``, ``feed.signature``, ``feed.digest``, ``feed.unbounded``,
    ``feed.expired``, ``feed.window``, ``feed.created``, ``feed.unbroken``, ``feed.namespaces``,
    ``feed.attributes``, ``feed.depth``, and ``xml.*`` of a signature's shape. Sources:
    saml-metadata 2.3 and 3, xmldsig-core 3.2, docs/reference/saml-profiles.md#5 to #6;
    docs/reference/attacks.md#33.
    """
    try:
        return _Pass(trust, frozenset(wanted), now).over(stream)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - whatever it breaks is refused, and its text quoted nowhere
        raise MessageRefused("feed.unreadable") from None


def entity_descriptors(element: etree._Element) -> Iterator[etree._Element]:
    """Yield the EntityDescriptors of a document, or of a part of it, outside of Extensions.

    Only collections may be around them. Extensions hold what their owner likes, and a federation
    may copy them unread: an EntityDescriptor in there is written by a member, who would speak for
    another (docs/reference/attacks.md#33).
    """
    if element.tag == ENTITY:
        yield element
    elif element.tag == ENTITIES:
        for child in element:
            yield from entity_descriptors(child)


class _Pass:
    """One pass over one feed."""

    def __init__(self, trust: Trust, wanted: frozenset[str], now: datetime) -> None:
        self.trust = trust
        self.wanted = wanted
        self.now = now
        self.found: dict[str, Entity] = {}
        self.twice: set[str] = set()
        self.extensions: list[etree._Element] = []  # of the root
        self.size = 0
        self.whole: list[bytes] = []  # of a document that is one entity

    def over(self, stream: BinaryIO) -> Aggregate:
        parse = BoundedParse(stream, self.trust.largest)
        root = parse.begin()
        signed = EnvelopedSignature(root, parse.begun, self.trust.keys)
        self._read(signed, root, signed.pieces.complete())
        for _ in parse.rest(root):
            self._read(signed, root, signed.pieces.complete())
        self._read(signed, root, list(root))
        if not signed.holds():
            raise MessageRefused("feed.digest")
        return self._aggregate(signed, root)

    def _read(
        self, signed: EnvelopedSignature, root: etree._Element, ended: list[etree._Element]
    ) -> None:
        """Keep what is wanted of the children that have ended, and forget them."""
        if any(child.tag == SIGNATURE for child in ended):
            raise MessageRefused("feed.signatures")
        if not ended:
            return
        if root.tag == ENTITIES:
            for child in ended:
                self._look(child)
        self.extensions += [child for child in ended if child.tag == EXTENSIONS]
        octets = signed.cut(ended)
        if root.tag == ENTITY:
            self.whole.append(octets)

    def _look(self, child: etree._Element) -> None:
        """Keep what is wanted of a child, which may be a collection itself."""
        for entity in entity_descriptors(child):
            self.size += 1
            name = entity.get("entityID", "")
            if name in self.found:
                self.twice.add(name)
            elif name in self.wanted:
                around = [entity, *entity.iterancestors(ENTITIES)]
                self._keep(name, canonicalize(entity), around)

    def _keep(self, name: str, octets: bytes, around: list[etree._Element]) -> None:
        written = [element.get("validUntil", "") for element in around]
        ends = [xml_times.read(end) for end in written if end]
        # One that no calendar has does not make the rest endless.
        until = min((end or self.now for end in ends), default=self.now)
        self.found[name] = Entity(name, octets, until)

    def _aggregate(self, signed: EnvelopedSignature, root: etree._Element) -> Aggregate:
        until = valid_until(root, self.trust.window, self.now)
        edition = FeedPublication(
            created=publication_of(self.extensions, self.now),
            until=until,
            digest=signed.expected.hex(),
            name=root.get("Name", "")[:_LONGEST_NAME],
        )
        if root.tag == ENTITY:
            self._keep_root(signed, root)
        once = {name: entity for name, entity in self.found.items() if name not in self.twice}
        return Aggregate(
            edition=edition,
            cached_for=duration(root.get("cacheDuration", "")),
            entities=once,
            twice=frozenset(self.twice),
            size=self.size,
        )

    def _keep_root(self, signed: EnvelopedSignature, root: etree._Element) -> None:
        """Keep a document that is one entity, if it is wanted."""
        self.size = 1
        name = root.get("entityID", "")
        if name in self.wanted:
            octets = b"".join((signed.pieces.start, *self.whole, signed.pieces.end))
            self._keep(name, octets, [root])


def valid_until(root: etree._Element, window: timedelta, now: datetime) -> datetime:
    """Return the end of a feed, and refuse one without (docs/reference/saml-profiles.md#6).

    An old copy could be brought for ever. ``MessageRefused``: ``feed.unbounded``, ``feed.expired``,
    ``feed.window``.
    """
    written = root.get("validUntil", "")
    end = xml_times.read(written)
    if end is None or not xml_times.is_utc(written):
        raise MessageRefused("feed.unbounded")
    if end <= now - SKEW:
        raise MessageRefused("feed.expired")
    if end > now + window + SKEW:
        raise MessageRefused("feed.window")
    return end


def publication_of(extensions: Sequence[etree._Element], now: datetime) -> datetime | None:
    """Return the creationInstant of a feed (mdrpi 2.2) from the Extensions of its root, or None.

    ``MessageRefused`` (``feed.created``) where there are two, it is in no calendar, or yet to come:
    after that publication, all others would be older.
    """
    listed: list[etree._Element] = []
    for element in extensions:
        listed += element.iterfind(_PUBLICATION)
    if len(listed) > 1:
        raise MessageRefused("feed.created")
    written = "".join(publication.get("creationInstant", "") for publication in listed)
    if not written:
        return None
    instant = xml_times.read(written)
    if instant is None or instant > now + SKEW:
        raise MessageRefused("feed.created")
    return instant


def duration(written: str) -> timedelta | None:
    """Read the days, hours, minutes and seconds of an xs:duration.

    None for any other, years and months among them.
    """
    found = _DURATION.fullmatch(written.strip())
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
