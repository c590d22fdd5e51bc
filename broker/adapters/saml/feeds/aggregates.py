"""Reads a signed metadata feed as a stream: verifies all of it and extracts the wanted entities.

The entities are returned only if the digest of the whole document equals the digest that the pinned
key signed. A tree of the whole document, with many thousand entities, would need four times the
memory of the file.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from lxml import etree
from pydantic import AwareDatetime, TypeAdapter

from broker.adapters.saml.feeds.streamed_signature import BoundedParse, EnvelopedSignature
from broker.adapters.saml.xml_security import signature, xml_times
from broker.adapters.saml.xml_security.canonical_form import canonicalize
from broker.adapters.saml.xml_security.xml_names import ENTITIES, ENTITY, EXTENSIONS, SIGNATURE
from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW

_PUBLICATION: Final = "{urn:oasis:names:tc:SAML:metadata:rpi}PublicationInfo"
_DURATION: Final = TypeAdapter(timedelta)
_LONGEST_NAME: Final = 500  # characters of a feed's name that are stored


@dataclass(frozen=True, slots=True)
class FeedPublication:
    """One publication of a feed.

    ``created`` is its creationInstant (or None), ``until`` its validUntil, ``digest`` the signed
    digest. ``name`` distinguishes the feeds of a publisher, and may be empty (saml-metadata 2.3.1).
    """

    created: AwareDatetime | None
    until: AwareDatetime
    digest: str
    name: str = ""

    def is_before(self, other: "FeedPublication") -> bool:
        """Return whether this was published before another publication.

        Compare creationInstant if both have one, else validUntil. By validUntil alone, a
        short-lived feed that withdraws an entity would lose to the feed before it.
        """
        if self.created and other.created and self.created != other.created:
            return self.created < other.created
        return self.until < other.until


@dataclass(frozen=True, slots=True)
class FeedTrust:
    """The keys that may sign a feed, its longest validity, and its largest size in octets."""

    keys: tuple[signature.VerifyKey, ...]
    window: timedelta
    largest: int


@dataclass(frozen=True, slots=True)
class Entity:
    """One EntityDescriptor in canonical octets; ``until`` is the end of its validity."""

    entity_id: str
    octets: bytes
    until: datetime


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A verified feed: its publication, its cacheDuration, and the wanted entities.

    ``duplicates`` are the wanted entityIDs that the feed contains more than once; they are not
    used.
    """

    edition: FeedPublication
    cached_for: timedelta | None
    entities: Mapping[str, Entity]
    duplicates: frozenset[str]
    entity_count: int  # also those that are not wanted

    @property
    def until(self) -> datetime:
        """Return the end of its validity."""
        return self.edition.until


def read(stream: BinaryIO, trust: FeedTrust, wanted: Collection[str], now: datetime) -> Aggregate:
    """Verify a feed, or the document of one entity, and return the entities of ``wanted`` IDs.

    The root must be the signed element; KeyInfo is not read. Raises MessageRefused with
    ``feed.size``, ``feed.unreadable``, ``feed.doctype``, ``feed.root``, ``feed.unsigned``,
    ``feed.signatures``, ``feed.signature``, ``feed.digest``, ``feed.unbounded``, ``feed.expired``,
    ``feed.window``, ``feed.created``, ``feed.unbroken``, ``feed.namespaces``, ``feed.attributes``,
    ``feed.depth``, or ``xml.*`` of a signature's shape. Sources: saml-metadata 2.3 and 3,
    xmldsig-core 3.2, docs/reference/saml-profiles.md#5 to #6; docs/reference/attacks.md#33.
    """
    try:
        return _Pass(trust, frozenset(wanted), now).read_stream(stream)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - refuse the feed, and do not quote it
        raise MessageRefused("feed.unreadable") from None


def entity_descriptors(element: etree._Element) -> Iterator[etree._Element]:
    """Yield the EntityDescriptors of a document, or of a part of it, outside Extensions.

    A federation may publish the Extensions of a member without checking them. With an
    EntityDescriptor in its Extensions, a member could replace the metadata of another member
    (docs/reference/attacks.md#33).
    """
    if element.tag == ENTITY:
        yield element
    elif element.tag == ENTITIES:
        for child in element:
            yield from entity_descriptors(child)


def read_ends(element: etree._Element) -> list[datetime]:
    """Return the validUntil of an element and of all collections around it, if they have one.

    An unreadable validUntil counts as expired.
    """
    around = [element, *element.iterancestors(ENTITIES)]
    written = [each.get("validUntil") for each in around]
    return [xml_times.read(end) or xml_times.LONG_AGO for end in written if end is not None]


class _Pass:
    """Reads one feed from its start to its end."""

    def __init__(self, trust: FeedTrust, wanted: frozenset[str], now: datetime) -> None:
        self.trust = trust
        self.wanted = wanted
        self.now = now
        self.found: dict[str, Entity] = {}
        self.duplicates: set[str] = set()
        self.extensions: list[etree._Element] = []  # of the root
        self.entity_count = 0
        self.whole: list[bytes] = []  # of a document that is one entity

    def read_stream(self, stream: BinaryIO) -> Aggregate:
        parse = BoundedParse(stream, self.trust.largest)
        root = parse.read_start()
        signed = EnvelopedSignature(root, parse.begun, self.trust.keys)
        # All children but the last are complete, with the text after them.
        self._read(signed, root, list(root)[:-1])
        for _ in parse.read_rest(root):
            self._read(signed, root, list(root)[:-1])
        self._read(signed, root, list(root))
        if not signed.is_valid():
            raise MessageRefused("feed.digest")
        return self._aggregate(signed, root)

    def _read(
        self, signed: EnvelopedSignature, root: etree._Element, ended: list[etree._Element]
    ) -> None:
        """Keep the wanted entities among the complete children, and remove the children."""
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
        """Keep the wanted entities of a child, which may be a collection itself."""
        for entity in entity_descriptors(child):
            self.entity_count += 1
            name = entity.get("entityID", "")
            if name in self.found:
                self.duplicates.add(name)
            elif name in self.wanted:
                self._keep(name, canonicalize(entity), entity)

    def _keep(self, name: str, octets: bytes, element: etree._Element) -> None:
        until = min(read_ends(element), default=self.now)
        self.found[name] = Entity(name, octets, until)

    def _aggregate(self, signed: EnvelopedSignature, root: etree._Element) -> Aggregate:
        until = check_valid_until(root, self.trust.window, self.now)
        edition = FeedPublication(
            created=read_creation_instant(self.extensions, self.now),
            until=until,
            digest=signed.expected.hex(),
            name=root.get("Name", "")[:_LONGEST_NAME],
        )
        if root.tag == ENTITY:
            self._keep_root(signed, root)
        once = {name: entity for name, entity in self.found.items() if name not in self.duplicates}
        return Aggregate(
            edition=edition,
            cached_for=read_duration(root.get("cacheDuration", "")),
            entities=once,
            duplicates=frozenset(self.duplicates),
            entity_count=self.entity_count,
        )

    def _keep_root(self, signed: EnvelopedSignature, root: etree._Element) -> None:
        """Keep a document of one entity, if it is wanted."""
        self.entity_count = 1
        name = root.get("entityID", "")
        if name in self.wanted:
            octets = b"".join((signed.pieces.start, *self.whole, signed.pieces.end))
            self._keep(name, octets, root)


def check_valid_until(root: etree._Element, window: timedelta, now: datetime) -> datetime:
    """Return the validUntil of a feed, which must have one (docs/reference/saml-profiles.md#6).

    Without it, an attacker could replay an old copy forever. Raises MessageRefused with
    ``feed.unbounded``, ``feed.expired`` or ``feed.window``.
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


def read_creation_instant(extensions: Sequence[etree._Element], now: datetime) -> datetime | None:
    """Return the creationInstant of a feed (mdrpi 2.2) from the Extensions of its root, or None.

    Raises MessageRefused (``feed.created``) if there are two, or if it is unreadable or in the
    future: every later publication would then seem older.
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


def read_duration(written: str) -> timedelta | None:
    """Return an xs:duration, or None if it cannot be read."""
    try:
        return _DURATION.validate_python(written.strip())
    except ValueError:
        return None
