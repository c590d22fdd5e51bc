"""Exclusive canonical form of XML elements, written by libxml2, and the parser for it."""

from collections.abc import Iterable, Sequence
from copy import deepcopy

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import INCLUSIVE, SIGNATURE


def build_parser(*, keeps_comments: bool = True) -> etree.XMLParser:
    """Return a new UTF-8 parser that loads no DTD, no entity and nothing from the network.

    ``keeps_comments`` decides on processing instructions too. The parser is not shared, because
    threads would block each other at a shared parser.
    """
    return etree.XMLParser(
        encoding="utf-8",
        no_network=True,
        load_dtd=False,
        resolve_entities=False,
        huge_tree=False,
        remove_comments=not keeps_comments,
        remove_pis=not keeps_comments,
    )


def canonicalize(element: etree._Element, prefixes: Sequence[str] = ()) -> bytes:
    """Return an element in exclusive canonical form (xml-exc-c14n 3), without comments.

    ``prefixes`` is the PrefixList. The element must declare them itself: for an element inside a
    document, call ``copy_without`` first.
    """
    written = etree.tostring(
        element,
        method="c14n",
        exclusive=True,
        with_comments=False,
        with_tail=False,
        inclusive_ns_prefixes=list(prefixes) or None,
    )
    return bytes(written)


def inclusive_prefixes(element: etree._Element | None) -> list[str]:
    """Return the prefixes that a canonicalisation treats as inclusive.

    ``signature_profile`` limits their number. libxml2 does not know ``#default``. If it matters,
    the digests differ and the message is refused.
    """
    prefixes: list[str] = []
    if element is None:
        return prefixes
    for inclusive in element.iter(INCLUSIVE):
        prefixes += inclusive.get("PrefixList", "").split()
    return prefixes


def copy_without(element: etree._Element, removed: Iterable[str] = (SIGNATURE,)) -> etree._Element:
    """Return a copy of an element as a separate document, without its children of ``removed`` tags.

    The new root must declare all namespaces in scope. So an element inside a document is written
    and parsed again. An element without parent declares them already and is only copied. The text
    after a removed child stays, as the enveloped transform requires (xmldsig-core 6.6.4).
    """
    if element.getparent() is None:
        copy = deepcopy(element)
    else:
        octets = etree.tostring(element, encoding="utf-8", with_tail=False)
        copy = etree.fromstring(octets, build_parser())
    for child in list(copy.iterchildren(*removed)):
        remove_child(copy, child)
    return copy


def remove_child(parent: etree._Element, child: etree._Element) -> None:
    """Remove a child but keep the text after it."""
    tail = child.tail or ""
    before = child.getprevious()
    if before is None:
        parent.text = (parent.text or "") + tail
    else:
        before.tail = (before.tail or "") + tail
    parent.remove(child)
