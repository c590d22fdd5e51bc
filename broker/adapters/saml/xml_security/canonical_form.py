"""Exclusive canonical form, written by libxml2, of elements and of what a signature covers."""

from collections.abc import Iterable, Sequence
from copy import deepcopy

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import INCLUSIVE, SIGNATURE


def build_parser(*, keeps_comments: bool = True) -> etree.XMLParser:
    """Return a new parser of UTF-8 that resolves nothing; threads would wait at a shared one."""
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

    ``prefixes`` is the PrefixList; the element must declare them itself, so call ``separate`` first
    for an element inside a document.
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

    ``signature_profile`` limits their number. libxml2 does not know ``#default``; where it makes a
    difference, the digests differ and the message is refused.
    """
    prefixes: list[str] = []
    if element is None:
        return prefixes
    for inclusive in element.iter(INCLUSIVE):
        prefixes += inclusive.get("PrefixList", "").split()
    return prefixes


def separate(element: etree._Element, left_out: Iterable[str] = (SIGNATURE,)) -> etree._Element:
    """Return a copy of an element as a separate document, without the children ``left_out``.

    lxml declares the namespaces in scope at the new root; only an element inside a document must be
    written for that. The text after a removed child stays, as the enveloped transform requires
    (xmldsig-core 6.6.4).
    """
    if element.getparent() is None:
        copy = deepcopy(element)
    else:
        octets = etree.tostring(element, encoding="utf-8", with_tail=False)
        copy = etree.fromstring(octets, build_parser())
    for child in list(copy.iterchildren(*left_out)):
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
