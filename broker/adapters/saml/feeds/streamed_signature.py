"""Parses a large document piece by piece, canonicalises it, and verifies the signature over it.

An attacker on the way may send anything behind the genuine beginning of a feed: that it is not what
was signed shows at its end only. So the parse stops where it would cost more memory or time than
any real document does.

Exclusive canonicalisation of an element is that of its start tag, of its children in order, and of
its end tag, where a child depends on nothing but the start tags around it. So a child may be
forgotten once it has been written, and a large document is never in memory whole.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from lxml import etree

from broker.adapters.saml.xml_security import signature, signature_profile
from broker.adapters.saml.xml_security.canonical_form import canonicalize, inclusive_prefixes
from broker.adapters.saml.xml_security.xml_names import DS, ENTITIES, ENTITY, SIGNATURE, SIGNED_INFO
from broker.core.errors import MessageRefused

_PIECE: Final = 1024 * 1024
# In so much the root's tag, the signature, and the tag of what follows it must stand.
_BEFORE: Final = 64 * 1024
_BETWEEN: Final = 16 * 1024 * 1024  # read at most without a child of the root that has ended
_MARKS: Final = 1_000_000  # of "<" and "=" in that: each is less than a node of 200 octets
_NAMESPACES: Final = 100  # in scope at once: an element's own are looked for among them
_ROOTS: Final = (ENTITIES, ENTITY)
# A canonicalisation sorts the attributes of an element one into the others: 30,000 of them take 18
# seconds.
_WIDE: Final = etree.XPath("boolean(descendant-or-self::*[@*[101]])")
_DEEP: Final = etree.XPath("boolean(/" + "/".join("*" * 41) + ")")
_TAG: Final = re.compile(
    rb"""\A(?:\xef\xbb\xbf)?(?:\s|<\?.*?\?>|<!--.*?-->)*+(<[^?!/\s](?:[^<>"']|"[^"]*"|'[^']*')*?)/?>""",
    re.DOTALL,
)
_REFERENCE: Final = f"{SIGNED_INFO}/{{{DS}}}Reference"
_METHOD: Final = f"{SIGNED_INFO}/{{{DS}}}SignatureMethod"
_C14N: Final = f"{SIGNED_INFO}/{{{DS}}}CanonicalizationMethod"


class BoundedParse:
    """One document while it is parsed; the root lacks what the reader has taken out of it."""

    def __init__(self, stream: BinaryIO, largest: int) -> None:
        """Take the document, and how many octets of it are read at most."""
        self._stream = stream
        self._left = largest
        # Another encoding than the one told here would hide a DOCTYPE from the search.
        self._parser = etree.XMLPullParser(
            ("start", "start-ns", "end-ns"),
            tag=_ROOTS,
            encoding="utf-8",
            no_network=True,
            load_dtd=False,
            resolve_entities=False,
        )
        self._root: etree._Element | None = None
        self._scope = 0
        self.begun = b""

    def begin(self) -> etree._Element:
        """Read until the root's first child has ended and another has begun; return the root.

        ``begun`` are the octets up to there. ``MessageRefused``: ``feed.root``, ``feed.doctype``,
        ``feed.unsigned`` where that takes more than 64 kB or never comes, and as ``rest``.
        """
        while piece := self._stream.read(min(_PIECE, _BEFORE - len(self.begun))):
            self.begun += piece
            self._feed(piece)
            if self._root is not None and len(self._root) > 1:
                return self._root
        if len(self.begun) < _BEFORE:
            self._parser.close()
        raise MessageRefused("feed.root" if self._root is None else "feed.unsigned")

    def rest(self, root: etree._Element) -> Iterator[None]:
        """Read on, and pause after each piece, so that what has ended can be taken out of the root.

        ``MessageRefused``: ``feed.size``, ``feed.unbroken`` where nothing ends for 16 MB,
        ``feed.namespaces``, ``feed.attributes`` and ``feed.depth`` above 100, 100 and 40. Errors of
        lxml where it is cut short, or goes on behind the root.
        """
        octets = 0
        marks = 0
        while piece := self._stream.read(_PIECE):
            octets += len(piece)
            marks += piece.count(b"<") + piece.count(b"=")
            if octets > _BETWEEN or marks > _MARKS:
                raise MessageRefused("feed.unbroken")
            self._feed(piece)
            if len(root) > 1 and root.tag == ENTITIES:  # of one entity all is kept
                octets = 0
                marks = 0
            yield
        self._parser.close()

    def _feed(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise MessageRefused("feed.size")
        self._parser.feed(piece)
        self._read_events()
        if self._root is None:
            return
        if _WIDE(self._root):
            raise MessageRefused("feed.attributes")
        if _DEEP(self._root):
            raise MessageRefused("feed.depth")

    def _read_events(self) -> None:
        """Read all of them each time, or the queue keeps every entity alive."""
        for event, element in self._parser.read_events():
            if event == "start":
                if self._root is None:
                    self._root = _checked(element)
                continue
            self._scope += 1 if event == "start-ns" else -1
            if self._scope > _NAMESPACES:
                raise MessageRefused("feed.namespaces")


def _checked(root: Any) -> etree._Element:
    """Check the root as soon as there is one, before anything else is read."""
    if root.getroottree().docinfo.internalDTD is not None:
        raise MessageRefused("feed.doctype")
    if root.getparent() is not None:
        raise MessageRefused("feed.root")
    checked: etree._Element = root
    return checked


class PiecewiseC14n:
    """The canonical form of a root that is still being parsed, written as its children end."""

    def __init__(self, root: etree._Element, begun: bytes, prefixes: Sequence[str]) -> None:
        """Take the root, the document's octets as far as behind the root's tag, and the prefixes.

        ``MessageRefused`` (``feed.root``) where the tag does not stand in those octets.
        """
        found = _TAG.match(begun)
        if not found:
            raise MessageRefused("feed.root")
        self._root = root
        self._prefixes = prefixes
        parser = etree.XMLParser(encoding="utf-8", resolve_entities=False)
        alone = etree.fromstring(found[1] + b"/>", parser)
        written = canonicalize(alone, prefixes)
        self.end = written[written.rindex(b"</") :]
        self.start = written[: -len(self.end)]

    def complete(self) -> list[etree._Element]:
        """Return the children that have ended, and the text behind them: all but the last."""
        return list(self._root)[:-1]

    def cut(self, children: Sequence[etree._Element]) -> bytes:
        """Return the canonical octets of the root's content as far as these children, its first.

        The children are forgotten.
        """
        whole = self._written()
        self._root.text = None
        for child in children:
            self._root.remove(child)
        rest = self._written()
        return whole[: len(whole) - len(rest)]

    def _written(self) -> bytes:
        """Write the rest of the root's content, with its end tag; the start tag never changes."""
        written = canonicalize(self._root, self._prefixes)
        whole = written.startswith(self.start) and written.endswith(self.end)
        if not whole:
            raise MessageRefused("feed.root")
        return written.removeprefix(self.start)


class EnvelopedSignature:
    """A verified signature and its document; ``holds`` decides whether it is over this document."""

    def __init__(
        self, root: etree._Element, begun: bytes, keys: Sequence[signature.VerifyKey]
    ) -> None:
        """Take a root whose first child is whole, the document's octets up to there, and the keys.

        ``keys`` are those that may have signed it. ``MessageRefused``: ``feed.unsigned``,
        ``feed.signature``, ``feed.root``, ``xml.*`` of the signature's shape.
        """
        first = root[0]
        if first.tag != SIGNATURE:
            raise MessageRefused("feed.unsigned")
        fault = signature_profile.signature_fault(first)
        if fault:
            raise MessageRefused(f"xml.{fault}")
        _verify(first, keys)
        reference = first.find(_REFERENCE)
        self.expected = _decoded(reference, f"{{{DS}}}DigestValue")
        self._digest = hashlib.new(_algorithm(reference, f"{{{DS}}}DigestMethod"))
        self.pieces = PiecewiseC14n(root, begun, inclusive_prefixes(reference))
        self._digest.update(self.pieces.start)
        # The enveloped transform takes the element out and leaves the text around it.
        root.text = (root.text or "") + (first.tail or "")
        root.remove(first)

    def cut(self, children: Sequence[etree._Element]) -> bytes:
        """Return the canonical octets of children that have ended, hashed and forgotten."""
        octets = self.pieces.cut(children)
        self._digest.update(octets)
        return octets

    def holds(self) -> bool:
        """Return whether the octets hashed are those that were signed; call it after the last."""
        self._digest.update(self.pieces.end)
        return self._digest.digest() == self.expected


def _verify(element: etree._Element, keys: Sequence[signature.VerifyKey]) -> None:
    """Return only if one of the keys signed this SignedInfo; anybody can write a KeyInfo."""
    signed_info = element.find(SIGNED_INFO)
    if signed_info is None:
        raise MessageRefused("feed.unsigned")
    octets = canonicalize(signed_info, inclusive_prefixes(element.find(_C14N)))
    value = _decoded(element, f"{{{DS}}}SignatureValue")
    method = _uri(element, _METHOD)
    try:
        signature.verify_bytes(octets, value, method, keys)
    except MessageRefused:
        raise MessageRefused("feed.signature") from None


def _uri(element: etree._Element | None, path: str) -> str:
    if element is None:
        return ""
    found = element.find(path)
    if found is None:
        return ""
    return found.get("Algorithm", "")


def _algorithm(element: etree._Element | None, path: str) -> str:
    """Return the name by which hashlib knows a digest of ``signature_profile.DIGEST_METHODS``."""
    return _uri(element, path).rpartition("#")[2]


def _decoded(element: etree._Element | None, path: str) -> bytes:
    written = ""
    if element is not None:
        written = element.findtext(path) or ""
    return base64.b64decode("".join(written.split()), validate=True)
