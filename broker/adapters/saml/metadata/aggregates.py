"""Reads a signed feed of metadata as a stream: verified whole, kept in parts, however many thousand entities it has.

What is kept counts only after the digest over every octet has been compared with the one that the
pinned key signed. A tree of the whole would take four times the memory that the file does.

The terms of a feed: until when it may be used, how long it may be cached, and which publication it is.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from lxml import etree

from broker.adapters.saml.gate import signature, xml_times
from broker.adapters.saml.gate.xml_names import ENTITIES, ENTITY, EXTENSIONS, SIGNATURE
from broker.adapters.saml.metadata.entity_descriptors import entity_descriptors
from broker.adapters.saml.metadata.streamed_xml import BoundedParse, EnvelopedSignature, canonical
from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW

_PUBLICATION: Final = "{urn:oasis:names:tc:SAML:metadata:rpi}PublicationInfo"
_DURATION: Final = re.compile(
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})(?:\.\d+)?S)?)?"
)


@dataclass(frozen=True, slots=True)
class FeedPublication:
    """One publication of a feed: when its publisher made it, if it says so, when it ends, and what was signed.

    ``name`` is which of its publisher's feeds it is, empty where it does not say (saml-metadata
    2.3.1).
    """

    created: datetime | None
    until: datetime
    digest: str
    name: str = ""

    def before(self, other: "FeedPublication") -> bool:
        """Say whether this one was published before another: by creationInstant where both have one, else by the end.

        The end alone would let a short-lived feed, which takes something back, lose to the one
        before it.
        """
        if self.created and other.created and self.created != other.created:
            return self.created < other.created
        return self.until < other.until


def valid_until(root: etree._Element, window: timedelta, now: datetime) -> datetime:
    """Give the end of a feed, and refuse one without: an old copy could be brought for ever (saml_profiles.md row 6).

    ``MessageRefused``: ``feed.unbounded``, ``feed.expired``, ``feed.window``.
    """
    written = root.get("validUntil", "")
    end = xml_times.read(written)
    if end is None or not xml_times.marked(written):
        raise MessageRefused("feed.unbounded")
    if end <= now - SKEW:
        raise MessageRefused("feed.expired")
    if end > now + window + SKEW:
        raise MessageRefused("feed.window")
    return end


def publication_of(extensions: Sequence[etree._Element], now: datetime) -> datetime | None:
    """Give when a feed says that it was made (mdrpi 2.2), from the Extensions of its root, or None where it does not.

    ``MessageRefused`` (``feed.created``) where it says so twice, in no calendar, or that it is yet
    to come: after that one, all others would be older.
    """
    listed = [each for one in extensions for each in one.iterfind(_PUBLICATION)]
    written = [each.get("creationInstant", "") for each in listed]
    if len(written) > 1:
        raise MessageRefused("feed.created")
    if not written or not written[0]:
        return None
    instant = xml_times.read(written[0])
    if instant is None or instant > now + SKEW:
        raise MessageRefused("feed.created")
    return instant


def duration(written: str) -> timedelta | None:
    """Read the days, hours, minutes and seconds of an xs:duration; None for any other, years and months among them."""
    found = _DURATION.fullmatch(written.strip())
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


_NAME: Final = 500  # characters of a feed's name that are remembered


@dataclass(frozen=True, slots=True)
class Trust:
    """What a feed must withstand: one of these keys, at most so many octets, and not valid longer than the window."""

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
    """A verified feed: which publication it is, how long it wants to be cached, and what was asked of it.

    ``twice`` are the entityIDs asked for that stand there more than once: which one to believe
    nobody can say.
    """

    edition: FeedPublication
    cached_for: timedelta | None
    entities: Mapping[str, Entity]
    twice: frozenset[str]
    size: int  # entities in all

    @property
    def until(self) -> datetime:
        """Give until when it may be used."""
        return self.edition.until


def read(stream: BinaryIO, trust: Trust, wanted: Collection[str], now: datetime) -> Aggregate:
    """Verify a feed, or the document of one entity, and give what is ``wanted`` of it, by entityID.

    The root is the signed element, KeyInfo is not read. ``MessageRefused``: ``feed.size``,
    ``feed.unreadable``, ``feed.doctype``, ``feed.root``, ``feed.unsigned``, ``feed.signatures``,
    ``feed.signature``, ``feed.digest``, ``feed.unbounded``, ``feed.expired``, ``feed.window``,
    ``feed.created``, ``feed.unbroken``, ``feed.namespaces``, ``feed.attributes``, ``feed.depth``,
    and ``gate.*`` of a signature's shape. Sources: saml-metadata 2.3 and 3, xmldsig-core 3.2,
    saml_profiles.md rows 5-6; attacks.md row 33.
    """
    try:
        return _Pass(trust, frozenset(wanted), now).over(stream)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - whatever a feed breaks, it is refused, and its text quoted nowhere
        raise MessageRefused("feed.unreadable") from None


class _Pass:
    """One pass over one feed."""

    def __init__(self, trust: Trust, wanted: frozenset[str], now: datetime) -> None:
        self.trust, self.wanted, self.now = trust, wanted, now
        self.found: dict[str, Entity] = {}
        self.twice: set[str] = set()
        self.extensions: list[etree._Element] = []  # of the root
        self.size = 0
        self.whole: list[bytes] = []  # of a document that is one entity

    def over(self, stream: BinaryIO) -> Aggregate:
        reading = BoundedParse(stream, self.trust.largest)
        root = reading.begin()
        signed = EnvelopedSignature(root, reading.begun, self.trust.keys)
        self._take(signed, root, signed.pieces.complete())
        for _ in reading.rest(root):
            self._take(signed, root, signed.pieces.complete())
        self._take(signed, root, list(root))
        if not signed.holds():
            raise MessageRefused("feed.digest")
        return self._kept(signed, root)

    def _take(
        self, signed: EnvelopedSignature, root: etree._Element, done: list[etree._Element]
    ) -> None:
        if any(each.tag == SIGNATURE for each in done):
            raise MessageRefused("feed.signatures")
        if not done:
            return
        for each in done if root.tag == ENTITIES else ():
            self._look(each)
        self.extensions += [each for each in done if each.tag == EXTENSIONS]
        octets = signed.cut(done)
        if root.tag == ENTITY:
            self.whole.append(octets)

    def _look(self, child: etree._Element) -> None:
        """Keep what is wanted of a child, which may be a collection itself."""
        for each in entity_descriptors(child):
            self.size += 1
            name = each.get("entityID", "")
            if name in self.found:
                self.twice.add(name)
            elif name in self.wanted:
                self._keep(name, canonical(each), [each, *each.iterancestors(ENTITIES)])

    def _keep(self, name: str, octets: bytes, around: list[etree._Element]) -> None:
        ends = [
            xml_times.read(each.get("validUntil", "")) for each in around if each.get("validUntil")
        ]
        # One that no calendar has does not make the rest endless.
        until = min((end or self.now for end in ends), default=self.now)
        self.found[name] = Entity(name, octets, until)

    def _kept(self, signed: EnvelopedSignature, root: etree._Element) -> Aggregate:
        until = valid_until(root, self.trust.window, self.now)
        edition = FeedPublication(
            publication_of(self.extensions, self.now),
            until,
            signed.expected.hex(),
            root.get("Name", "")[:_NAME],
        )
        if root.tag == ENTITY:
            self.size, name = 1, root.get("entityID", "")
            if name in self.wanted:
                self._keep(
                    name, b"".join((signed.pieces.start, *self.whole, signed.pieces.end)), [root]
                )
        once = {name: each for name, each in self.found.items() if name not in self.twice}
        asked = duration(root.get("cacheDuration", ""))
        return Aggregate(edition, asked, once, frozenset(self.twice), self.size)
