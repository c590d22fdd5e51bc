"""Reads a signed feed of metadata as a stream: verified whole, kept in parts, however many thousand entities it has.

What is kept counts only after the digest over every octet has been compared with the one that the
pinned key signed. A tree of the whole would take four times the memory that the file does.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from lxml import etree

from broker.adapters.saml.gate import signature, times
from broker.adapters.saml.gate.names import ENTITIES, ENTITY, EXTENSIONS, SIGNATURE
from broker.adapters.saml.metadata import terms
from broker.adapters.saml.metadata.bounded import BoundedParse
from broker.adapters.saml.metadata.enveloped import EnvelopedSignature
from broker.adapters.saml.metadata.listing import entity_descriptors
from broker.adapters.saml.metadata.pieces import canonical
from broker.adapters.saml.metadata.terms import FeedPublication
from broker.core.errors import MessageRefused

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
        ends = [times.read(each.get("validUntil", "")) for each in around if each.get("validUntil")]
        # One that no calendar has does not make the rest endless.
        until = min((end or self.now for end in ends), default=self.now)
        self.found[name] = Entity(name, octets, until)

    def _kept(self, signed: EnvelopedSignature, root: etree._Element) -> Aggregate:
        until = terms.valid_until(root, self.trust.window, self.now)
        edition = FeedPublication(
            terms.publication_of(self.extensions, self.now),
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
        asked = terms.duration(root.get("cacheDuration", ""))
        return Aggregate(edition, asked, once, frozenset(self.twice), self.size)
