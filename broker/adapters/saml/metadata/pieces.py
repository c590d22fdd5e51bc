"""Canonicalises a document piece by piece while it is parsed, so that a large one is never in memory whole.

Exclusive canonicalisation of an element is that of its start tag, of its children in order, and of
its end tag, where a child depends on nothing but the start tags around it. So each child may be
forgotten once it has been written.
"""

import re
from collections.abc import Sequence
from typing import Final

from lxml import etree

from broker.core.errors import MessageRefused

_TAG: Final = re.compile(
    rb"""\A(?:\xef\xbb\xbf)?(?:\s|<\?.*?\?>|<!--.*?-->)*+(<[^?!/\s](?:[^<>"']|"[^"]*"|'[^']*')*?)/?>""",
    re.DOTALL,
)


def canonical(element: etree._Element, prefixes: Sequence[str] = ()) -> bytes:
    """Give an element in exclusive canonical form, without comments and without what follows it (xml-exc-c14n 3)."""
    return bytes(
        etree.tostring(
            element,
            method="c14n",
            exclusive=True,
            with_comments=False,
            with_tail=False,
            inclusive_ns_prefixes=list(prefixes) or None,
        )
    )


class PiecewiseC14n:
    """The canonical form of a root that is still being parsed, handed out as its children become complete."""

    def __init__(self, root: etree._Element, begun: bytes, prefixes: Sequence[str]) -> None:
        """Take the root, the octets of the document from its beginning to behind the root's tag, and the prefixes.

        ``MessageRefused`` (``feed.root``) where the tag does not stand in those octets.
        """
        found = _TAG.match(begun)
        if not found:
            raise MessageRefused("feed.root")
        self._root, self._prefixes = root, prefixes
        alone = etree.fromstring(
            found[1] + b"/>", etree.XMLParser(encoding="utf-8", resolve_entities=False)
        )
        written = canonical(alone, prefixes)
        self.end = written[written.rindex(b"</") :]
        self.start = written[: -len(self.end)]

    def complete(self) -> list[etree._Element]:
        """Give the children that are parsed to their end, and what follows them: all before the last."""
        return list(self._root)[:-1]

    def cut(self, children: Sequence[etree._Element]) -> bytes:
        """Give the canonical octets of the root's content as far as these children, its first, and forget them."""
        whole = self._written()
        self._root.text = None
        for child in children:
            self._root.remove(child)
        rest = self._written()
        return whole[: len(whole) - len(rest)]

    def _written(self) -> bytes:
        """Write what is left of the root's content, the end tag with it; the start tag is the same every time."""
        written = canonical(self._root, self._prefixes)
        if not (written.startswith(self.start) and written.endswith(self.end)):
            raise MessageRefused("feed.root")
        return written[len(self.start) :]
