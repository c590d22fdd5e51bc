"""Parses a document piece by piece, and stops where it would cost more memory or time than any real one does.

Whoever is on the way may send anything behind the genuine beginning of a feed: that it is not what
was signed shows at its end only.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from lxml import etree

from broker.adapters.saml.gate.names import ENTITIES, ENTITY
from broker.core.errors import MessageRefused

_PIECE: Final = 1024 * 1024
_BEFORE: Final = (
    64 * 1024
)  # in so much the root's tag, the signature, and the tag of what follows it must stand
_BETWEEN: Final = 16 * 1024 * 1024  # read at most without a child of the root that has ended
_MARKS: Final = 1_000_000  # of "<" and "=" in that: each is less than a node of 200 octets
_NAMESPACES: Final = 100  # in scope at once: each element's own are looked for among them
_ROOTS: Final = (ENTITIES, ENTITY)
# A canonicalisation sorts the attributes of an element one into the others: 30,000 of them take 18
# seconds.
_WIDE: Final = etree.XPath("boolean(descendant-or-self::*[@*[101]])")
_DEEP: Final = etree.XPath("boolean(/" + "/".join("*" * 41) + ")")


class BoundedParse:
    """One document while it is parsed; the root lacks what the reader has taken out of it."""

    def __init__(self, stream: BinaryIO, largest: int) -> None:
        """Take the document, and how many octets of it are read at most."""
        self._stream, self._left = stream, largest
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
        """Read until the root's first child has ended and another has begun, and give the root.

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
        octets, marks = 0, 0
        while piece := self._stream.read(_PIECE):
            octets, marks = octets + len(piece), marks + piece.count(b"<") + piece.count(b"=")
            if octets > _BETWEEN or marks > _MARKS:
                raise MessageRefused("feed.unbroken")
            self._feed(piece)
            if len(root) > 1 and root.tag == ENTITIES:  # of one entity all is kept
                octets, marks = 0, 0
            yield
        self._parser.close()

    def _feed(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise MessageRefused("feed.size")
        self._parser.feed(piece)
        # All of them each time, or the queue keeps every entity alive.
        for event, each in self._parser.read_events():
            if event == "start":
                self._root = _checked(each) if self._root is None else self._root
                continue
            self._scope += 1 if event == "start-ns" else -1
            if self._scope > _NAMESPACES:
                raise MessageRefused("feed.namespaces")
        if self._root is not None and _WIDE(self._root):
            raise MessageRefused("feed.attributes")
        if self._root is not None and _DEEP(self._root):
            raise MessageRefused("feed.depth")


def _checked(root: Any) -> etree._Element:
    """Look at the root as soon as there is one, before anything else is read."""
    if root.getroottree().docinfo.internalDTD is not None:
        raise MessageRefused("feed.doctype")
    if root.getparent() is not None:
        raise MessageRefused("feed.root")
    checked: etree._Element = root
    return checked
