"""Reads a signed feed of metadata as a stream: verified whole, kept in parts, however many thousand entities it has.

What is kept counts only after the digest over every octet has been compared with the one that the pinned key signed.
A tree of the whole would take four times the memory that the file does.
"""

import base64
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final

from lxml import etree

from broker.core.errors import MessageRefused
from broker.core.transaction import SKEW
from broker.saml import shape, signature, times
from broker.saml.names import DS, ENTITIES, ENTITY, EXCLUSIVE, SIGNATURE, SIGNED_INFO
from broker.saml.pieces import Pieces, canonical

_PIECE: Final = 1024 * 1024
_BEFORE: Final = 64 * 1024  # what may stand before the root's tag is read
_ROOTS: Final = (ENTITIES, ENTITY)
_REFERENCE: Final = f"{SIGNED_INFO}/{{{DS}}}Reference"
_METHOD: Final = f"{SIGNED_INFO}/{{{DS}}}SignatureMethod"
_C14N: Final = f"{SIGNED_INFO}/{{{DS}}}CanonicalizationMethod"
_PREFIXES: Final = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
_DURATION: Final = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})(?:\.\d+)?S)?)?")


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
    """A verified feed: until when it may be used, how long its publisher wants it cached, and what was asked of it."""

    until: datetime
    cached_for: timedelta | None
    entities: Mapping[str, Sequence[Entity]]
    size: int  # entities in all


def read(stream: BinaryIO, trust: Trust, wanted: Collection[str], now: datetime) -> Aggregate:
    """Verify a feed, or the document of one entity, and give what is ``wanted`` of it, by entityID.

    The root is the signed element, KeyInfo is not read. ``MessageRefused``: ``feed.size``, ``feed.unreadable``,
    ``feed.doctype``, ``feed.root``, ``feed.unsigned``, ``feed.signatures``, ``feed.signature``, ``feed.digest``,
    ``feed.unbounded``, ``feed.expired``, ``feed.window``, and ``gate.*`` of a signature's shape.
    Sources: saml-metadata 2.3 and 3, xmldsig-core 3.2, saml_profiles.md rows 5-6; attacks.md row 33.
    """
    try:
        return _Pass(trust, frozenset(wanted), now).over(stream)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - whatever a feed breaks, it is refused, and its text quoted nowhere
        raise MessageRefused("feed.unreadable") from None


class _Signed:
    """A document whose signature has verified; whether it is over this document, the digest will say."""

    def __init__(self, root: etree._Element, begun: bytes, keys: Sequence[signature.VerifyKey]) -> None:
        found = root[0]
        if found.tag != SIGNATURE:
            raise MessageRefused("feed.unsigned")
        if wrong := shape.fault(found):
            raise MessageRefused(f"gate.{wrong}")
        _verify(found, keys)
        reference = found.find(_REFERENCE)
        self.expected = _decoded(reference, f"{{{DS}}}DigestValue")
        self.digest = hashlib.new(_algorithm(reference, f"{{{DS}}}DigestMethod"))
        self.pieces = Pieces(root, begun, _prefixes(reference))
        self.digest.update(self.pieces.start)
        # The enveloped transform takes the element out and leaves the text around it.
        root.text = (root.text or "") + (found.tail or "")
        root.remove(found)

    def holds(self) -> bool:
        """Say whether what went through is what was signed; only after all of it has."""
        self.digest.update(self.pieces.end)
        return self.digest.digest() == self.expected


class _Pass:
    """One pass over one feed."""

    def __init__(self, trust: Trust, wanted: frozenset[str], now: datetime) -> None:
        self.trust, self.wanted, self.now = trust, wanted, now
        self.found: dict[str, list[Entity]] = {}
        self.size = 0
        self.whole: list[bytes] = []  # of a document that is one entity

    def over(self, stream: BinaryIO) -> Aggregate:
        # Another encoding than the one told here would hide a DOCTYPE from the search.
        parser = etree.XMLPullParser(
            ("start",), tag=_ROOTS, encoding="utf-8", no_network=True, load_dtd=False, resolve_entities=False
        )
        octets, begun, root, signed = 0, b"", None, None
        while piece := stream.read(_PIECE):
            octets += len(piece)
            if octets > self.trust.largest:
                raise MessageRefused("feed.size")
            parser.feed(piece)
            # Each time, or the queue keeps every entity alive.
            seen: list[Any] = [element for _, element in parser.read_events()]
            if root is None:
                begun += piece
                root = _root(seen, len(begun))
            if root is not None and signed is None and len(root) > 1:
                signed = _Signed(root, begun, self.trust.keys)
            if root is not None and signed:
                self._take(signed, root, signed.pieces.complete())
        parser.close()  # refuses what is cut short, or goes on behind the root
        if root is None:
            raise MessageRefused("feed.root")
        if signed is None:
            raise MessageRefused("feed.unsigned")
        self._take(signed, root, list(root))
        if not signed.holds():
            raise MessageRefused("feed.digest")
        return self._kept(signed, root)

    def _take(self, signed: _Signed, root: etree._Element, done: list[etree._Element]) -> None:
        if any(each.tag == SIGNATURE for each in done):
            raise MessageRefused("feed.signatures")
        if not done:
            return
        for each in done if root.tag == ENTITIES else ():
            self._look(each)
        octets = signed.pieces.cut(done)
        signed.digest.update(octets)
        if root.tag == ENTITY:
            self.whole.append(octets)

    def _look(self, child: etree._Element) -> None:
        """Keep what is wanted of a child, which may be a collection itself."""
        for each in child.iter(ENTITY):
            self.size += 1
            if (name := each.get("entityID", "")) in self.wanted:
                self._keep(name, canonical(each), [each, *each.iterancestors(ENTITIES)])

    def _keep(self, name: str, octets: bytes, around: list[etree._Element]) -> None:
        ends = [times.read(each.get("validUntil", "")) for each in around if each.get("validUntil")]
        # One that no calendar has does not make the rest endless.
        until = min((end or self.now for end in ends), default=self.now)
        self.found.setdefault(name, []).append(Entity(name, octets, until))

    def _kept(self, signed: _Signed, root: etree._Element) -> Aggregate:
        until = self._until(root)
        if root.tag == ENTITY:
            self.size, name = 1, root.get("entityID", "")
            if name in self.wanted:
                self._keep(name, b"".join((signed.pieces.start, *self.whole, signed.pieces.end)), [root])
        return Aggregate(until, _duration(root.get("cacheDuration", "")), self.found, self.size)

    def _until(self, root: etree._Element) -> datetime:
        """Refuse a feed without an end: whoever keeps an old copy could bring it for ever (saml_profiles.md row 6)."""
        written = root.get("validUntil", "")
        until = times.read(written)
        if until is None or not times.marked(written):
            raise MessageRefused("feed.unbounded")
        if until <= self.now - SKEW:
            raise MessageRefused("feed.expired")
        if until > self.now + self.trust.window + SKEW:
            raise MessageRefused("feed.window")
        return until


def _root(seen: list[etree._Element], octets: int) -> etree._Element | None:
    """Look at the root as soon as there is one, before anything else is read."""
    if not seen and octets < _BEFORE:
        return None
    if not seen:
        raise MessageRefused("feed.root")
    if seen[0].getroottree().docinfo.internalDTD is not None:
        raise MessageRefused("feed.doctype")
    if seen[0].getparent() is not None:
        raise MessageRefused("feed.root")
    return seen[0]


def _verify(found: etree._Element, keys: Sequence[signature.VerifyKey]) -> None:
    """Return only if one of the keys signed this SignedInfo; KeyInfo is whoever's wrote it."""
    stated = found.find(SIGNED_INFO)
    if stated is None:
        raise MessageRefused("feed.unsigned")
    octets = canonical(stated, _prefixes(found.find(_C14N)))
    value = _decoded(found, f"{{{DS}}}SignatureValue")
    try:
        signature.verify_bytes(octets, value, _uri(found, _METHOD), keys)
    except MessageRefused:
        raise MessageRefused("feed.signature") from None


def _uri(element: etree._Element | None, path: str) -> str:
    found = None if element is None else element.find(path)
    return "" if found is None else found.get("Algorithm", "")


def _algorithm(element: etree._Element | None, path: str) -> str:
    """Give the name by which hashlib knows a digest of ``shape.DIGEST_METHODS``."""
    return _uri(element, path).rpartition("#")[2]


def _decoded(element: etree._Element | None, path: str) -> bytes:
    written = (element.findtext(path) if element is not None else None) or ""
    return base64.b64decode("".join(written.split()), validate=True)


def _prefixes(element: etree._Element | None) -> list[str]:
    """Give the prefixes that a canonicalisation treats as inclusive; their number is bounded by ``shape``.

    libxml2 does not know ``#default`` among them: such a feed is refused where it makes a difference.
    """
    listed: Iterator[etree._Element] = iter(()) if element is None else element.iter(_PREFIXES)
    return [prefix for each in listed for prefix in each.get("PrefixList", "").split()]


def _duration(written: str) -> timedelta | None:
    """Read the days, hours, minutes and seconds of an xs:duration; None for any other, years and months among them."""
    found = _DURATION.fullmatch(written.strip())
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
