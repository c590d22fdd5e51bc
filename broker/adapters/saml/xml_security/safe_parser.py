"""The XML security checks that every inbound SAML message passes before anything else looks at it.

The name of the check that refuses is the cause: ``xml.doctype``. No text of libxml2 is passed on:
it quotes values.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from lxml import etree

from broker.adapters.saml.xml_security import signature_profile, xml_structure_checks
from broker.adapters.saml.xml_security.xml_structure_checks import Bounds
from broker.core.errors import MessageRefused

__all__ = ["Bounds", "parse"]

_BOUNDS: Final = Bounds()
_Subject = TypeVar("_Subject")


def parse(raw: bytes, root: str, bounds: Bounds = _BOUNDS) -> etree._Element:
    """Return the root of a message that passed every check.

    ``root`` is the Clark name of the only root allowed. The checks of ``xml_structure_checks``
    are ``OCTETS`` on the bytes as they came and ``TREE`` on the tree; then follow
    ``signature_profile.SHAPE`` on every signature, and last the schemas. No signature has been
    verified yet: call ``signature.verify`` on the very element that will be read.
    ``MessageRefused`` for everything else, whatever went wrong.
    """
    try:
        return _parse(raw, root, bounds)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - no input may raise anything else
        raise MessageRefused("xml.unreadable") from None


def _parse(raw: bytes, expected: str, bounds: Bounds) -> etree._Element:
    _refuse(xml_structure_checks.OCTETS, xml_structure_checks.Octets(raw, bounds))
    # One parser a message: threads would wait for each other at a shared one.
    parser = etree.XMLParser(
        encoding="utf-8", no_network=True, load_dtd=False, resolve_entities=False, huge_tree=False
    )
    root = etree.fromstring(raw, parser)
    tree = xml_structure_checks.MessageTree(root, expected, bounds)
    _refuse(xml_structure_checks.TREE, tree)
    for signature in tree.signatures:
        fault = signature_profile.signature_fault(signature)
        if fault:
            raise MessageRefused(f"xml.{fault}")
    _refuse(xml_structure_checks.LAST, tree)
    return root


def _refuse(table: dict[str, Callable[[_Subject], bool]], subject: _Subject) -> None:
    for name, offends in table.items():
        if offends(subject):
            raise MessageRefused(f"xml.{name}")
