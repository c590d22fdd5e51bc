"""The XML security checks that every inbound SAML message passes before anything else looks at it.

The name of the check that refuses is the cause: ``xml.doctype``. No text of libxml2 is passed on:
it quotes values.
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
    apply_checks(xml_structure_checks.OCTETS, xml_structure_checks.Octets(raw, bounds))
    root = etree.fromstring(raw, build_parser())
    tree = xml_structure_checks.MessageTree(root, expected, bounds)
    apply_checks(xml_structure_checks.TREE, tree)
    for signature in tree.signatures:
        signature_profile.check_shape(signature)
    apply_checks(xml_structure_checks.LAST, tree)
    return root
