"""The XML security checks that every received SAML message must pass before it is used.

The cause of a refusal is the name of the check: ``xml.doctype``. Error messages of libxml2 are
dropped, because they quote values.
"""

from typing import Final

from lxml import etree

from broker.adapters.saml.xml_security import signature_profile, xml_structure_checks
from broker.adapters.saml.xml_security.canonical_form import build_parser
from broker.adapters.saml.xml_security.xml_structure_checks import Bounds, apply_checks
from broker.core.errors import MessageRefused

__all__ = ["Bounds", "parse"]

_BOUNDS: Final = Bounds()


def parse(raw: bytes, root: str, bounds: Bounds = _BOUNDS) -> etree._Element:
    """Return the root of a message that passed every check.

    ``root`` is the Clark name of the only root allowed. The tables of ``xml_structure_checks`` are
    applied: ``OCTETS`` to the raw bytes and ``TREE`` to the tree. Then ``signature_profile.SHAPE``
    is applied to every signature, and the schemas last. No signature has been verified yet: call
    ``signature.verify`` on the element that will be read. Raises MessageRefused for every other
    input.
    """
    try:
        return _parse(raw, root, bounds)
    except MessageRefused:
        raise
    except Exception:  # noqa: BLE001 - no input may raise anything else
        raise MessageRefused("xml.unreadable") from None


def _parse(raw: bytes, expected: str, bounds: Bounds) -> etree._Element:
    apply_checks(xml_structure_checks.OCTETS, xml_structure_checks.Octets(raw, bounds))
    root = etree.fromstring(raw, build_parser())
    tree = xml_structure_checks.MessageTree(root, expected, bounds)
    apply_checks(xml_structure_checks.TREE, tree)
    for signature in tree.signatures:
        signature_profile.check_shape(signature)
    apply_checks(xml_structure_checks.LAST, tree)
    return root
