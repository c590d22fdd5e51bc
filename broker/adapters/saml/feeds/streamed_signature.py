"""Parses a large document piece by piece, canonicalises it, and verifies its signature.

An attacker on the network may append anything to the genuine start of a feed. The digest shows that
only at the end. So the parser stops if a document needs more memory or time than any real feed.

The exclusive canonical form of an element consists of its start tag, its children in order, and its
end tag; a child depends only on the start tags around it. So a child can be removed after it was
written, and a large document is never in memory as a whole.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from lxml import etree

from broker.adapters.saml.xml_security import signature
from broker.adapters.saml.xml_security.canonical_form import (
    build_parser,
    canonicalize,
    inclusive_prefixes,
)
from broker.adapters.saml.xml_security.signature_profile import SignatureParts, check_shape
from broker.adapters.saml.xml_security.xml_names import DS, ENTITIES, ENTITY, SIGNATURE
from broker.core.errors import MessageRefused

_PIECE: Final = 1024 * 1024
# The root's tag, the signature, and the next start tag must be within these octets.
_BEFORE: Final = 64 * 1024
_BETWEEN: Final = 16 * 1024 * 1024  # read at most until a child of the root is complete
_MARKS: Final = 1_000_000  # "<" and "=" within _BETWEEN: each makes at most a node of 200 octets
_NAMESPACES: Final = 100  # in scope at once, because libxml2 searches them for each element
_ROOTS: Final = (ENTITIES, ENTITY)
# Canonicalisation sorts the attributes by insertion: 30,000 of them take 18 seconds.
_WIDE: Final = etree.XPath("boolean(descendant-or-self::*[@*[101]])")
_DEEP: Final = etree.XPath("boolean(/" + "/".join("*" * 41) + ")")
_TAG: Final = re.compile(
    rb"""\A(?:\xef\xbb\xbf)?(?:\s|<\?.*?\?>|<!--.*?-->)*+(<[^?!/\s](?:[^<>"']|"[^"]*"|'[^']*')*?)/?>""",
    re.DOTALL,
)


class BoundedParse:
    """A document that is being parsed; the reader removes children from its root."""

    def __init__(self, stream: BinaryIO, largest: int) -> None:
        """Parse ``stream``, and read at most ``largest`` octets of it."""
        self._stream = stream
        self._left = largest
        # Another encoding could hide a DOCTYPE from the check.
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

    def read_start(self) -> etree._Element:
        """Read until the root's first child is complete and another has begun; return the root.

        ``begun`` are the octets up to there. Raises MessageRefused with ``feed.root``,
        ``feed.doctype``, ``feed.unsigned`` if there is no such place in the first 64 kB, or as
        ``read_rest``.
        """
        while piece := self._stream.read(min(_PIECE, _BEFORE - len(self.begun))):
            self.begun += piece
            self._feed(piece)
            if self._root is not None and len(self._root) > 1:
                return self._root
        if len(self.begun) < _BEFORE:
            self._parser.close()
        raise MessageRefused("feed.root" if self._root is None else "feed.unsigned")

    def read_rest(self, root: etree._Element) -> Iterator[None]:
        """Read the rest; yield after each piece, so that complete children can be removed.

        Raises MessageRefused with ``feed.size``, ``feed.unbroken`` if no child is complete after
        16 MB, and ``feed.namespaces``, ``feed.attributes`` and ``feed.depth`` above 100, 100 and
        40. Raises errors of lxml if the document is cut short, or continues after the root.
        """
        octets = 0
        marks = 0
        while piece := self._stream.read(_PIECE):
            octets += len(piece)
            marks += piece.count(b"<") + piece.count(b"=")
            if octets > _BETWEEN or marks > _MARKS:
                raise MessageRefused("feed.unbroken")
            self._feed(piece)
            if len(root) > 1 and root.tag == ENTITIES:  # a document of one entity is kept whole
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
        """Read all events each time: the queue would keep every entity in memory."""
        for event, element in self._parser.read_events():
            if event == "start":
                if self._root is None:
                    self._root = _check_root(element)
                continue
            self._scope += 1 if event == "start-ns" else -1
            if self._scope > _NAMESPACES:
                raise MessageRefused("feed.namespaces")


def _check_root(root: Any) -> etree._Element:
    """Check the root before anything else is read."""
    if root.getroottree().docinfo.internalDTD is not None:
        raise MessageRefused("feed.doctype")
    if root.getparent() is not None:
        raise MessageRefused("feed.root")
    checked: etree._Element = root
    return checked


class PiecewiseC14n:
    """Writes the canonical form of a root that is still being parsed."""

    def __init__(self, root: etree._Element, begun: bytes, prefixes: Sequence[str]) -> None:
        """Use the root, the document's first octets, and the PrefixList.

        Raises MessageRefused (``feed.root``) if the octets do not contain the root's start tag.
        """
        found = _TAG.match(begun)
        if not found:
            raise MessageRefused("feed.root")
        self._root = root
        self._prefixes = prefixes
        empty_root = etree.fromstring(found[1] + b"/>", build_parser())
        written = canonicalize(empty_root, prefixes)
        self.end = written[written.rindex(b"</") :]
        self.start = written[: -len(self.end)]

    def cut(self, children: Sequence[etree._Element]) -> bytes:
        """Remove these first children of the root, and return their canonical octets."""
        whole = self._write()
        self._root.text = None
        for child in children:
            self._root.remove(child)
        rest = self._write()
        return whole[: len(whole) - len(rest)]

    def _write(self) -> bytes:
        """Write the remaining content of the root and its end tag."""
        written = canonicalize(self._root, self._prefixes)
        whole = written.startswith(self.start) and written.endswith(self.end)
        if not whole:
            raise MessageRefused("feed.root")
        return written.removeprefix(self.start)


class EnvelopedSignature:
    """A verified signature; ``is_valid`` says whether it covers the document that was read."""

    def __init__(
        self, root: etree._Element, begun: bytes, keys: Sequence[signature.VerifyKey]
    ) -> None:
        """Verify the signature of a root whose first child is complete.

        ``begun`` are the document's octets up to there. Raises MessageRefused with
        ``feed.unsigned``, ``feed.signature``, ``feed.root``, or ``xml.*`` of the signature's shape.
        """
        first = root[0]
        if first.tag != SIGNATURE:
            raise MessageRefused("feed.unsigned")
        parts = check_shape(first)
        _verify(parts, keys)
        reference, digest = parts.references[0], parts.digests[0]
        self.expected = _decode(reference.findtext(f"{{{DS}}}DigestValue"))
        self._digest = hashlib.new(digest.get("Algorithm", "").rpartition("#")[2])
        self.pieces = PiecewiseC14n(root, begun, inclusive_prefixes(reference))
        self._digest.update(self.pieces.start)
        # The enveloped transform removes the element and leaves the text around it.
        root.text = (root.text or "") + (first.tail or "")
        root.remove(first)

    def cut(self, children: Sequence[etree._Element]) -> bytes:
        """Hash and remove complete children, and return their canonical octets."""
        octets = self.pieces.cut(children)
        self._digest.update(octets)
        return octets

    def is_valid(self) -> bool:
        """Return whether the hashed octets are those that were signed; call it at the end."""
        self._digest.update(self.pieces.end)
        return self._digest.digest() == self.expected


def _verify(parts: SignatureParts, keys: Sequence[signature.VerifyKey]) -> None:
    """Raise MessageRefused unless one of the keys signed this SignedInfo; ignore KeyInfo."""
    prefixes = inclusive_prefixes(parts.canonicalizations[0])
    octets = canonicalize(parts.signed_infos[0], prefixes)
    value = _decode(parts.signature.findtext(f"{{{DS}}}SignatureValue"))
    method = parts.methods[0].get("Algorithm", "")
    try:
        signature.verify_bytes(octets, value, method, keys)
    except MessageRefused:
        raise MessageRefused("feed.signature") from None


def _decode(written: str | None) -> bytes:
    return base64.b64decode("".join((written or "").split()), validate=True)
