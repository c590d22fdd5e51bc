"""Exclusive canonical form, written by libxml2, of elements and of what a signature covers."""

from collections.abc import Iterable, Sequence
from typing import Final

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import EXCLUSIVE, SIGNATURE

_INCLUSIVE: Final = f"{{{EXCLUSIVE}}}InclusiveNamespaces"


def canonical(element: etree._Element, prefixes: Sequence[str] = ()) -> bytes:
    """Return an element in exclusive canonical form (xml-exc-c14n 3).

    Comments, and the text that follows the element, are left out. Of an element within a document
    ``prefixes`` are those that the element itself declares: use ``separate`` before.
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

    Their number is bounded by ``signature_profile``. libxml2 does not know ``#default`` among them:
    such a message is refused where it makes a difference.
    """
    prefixes: list[str] = []
    if element is None:
        return prefixes
    for inclusive in element.iter(_INCLUSIVE):
        prefixes += inclusive.get("PrefixList", "").split()
    return prefixes


def separate(element: etree._Element, left_out: Iterable[str] = (SIGNATURE,)) -> etree._Element:
    """Return an element as a document of its own, without its children of the names ``left_out``.

    lxml declares the namespaces in scope at the new root. The text behind a child that is left out
    stays, as the enveloped transform leaves it (xmldsig-core 6.6.4).
    """
    parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)
    copy = etree.fromstring(etree.tostring(element, encoding="utf-8", with_tail=False), parser)
    for child in list(copy.iterchildren(*left_out)):
        before = child.getprevious()
        if before is None:
            copy.text = (copy.text or "") + (child.tail or "")
        else:
            before.tail = (before.tail or "") + (child.tail or "")
        copy.remove(child)
    return copy
