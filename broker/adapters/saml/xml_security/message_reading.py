"""Reads messages with pysaml2's classes from canonical octets.

pysaml2 silently changes some values and drops parts of others. Such values are refused before it
parses the message.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from lxml import etree
from saml2 import SamlBase, create_class_from_element_tree

from broker.adapters.saml.xml_security import signature
from broker.adapters.saml.xml_security.canonical_form import canonicalize, copy_without
from broker.adapters.saml.xml_security.xml_names import (
    ASSERTION,
    ATTRIBUTE_VALUE,
    ENCRYPTED_ASSERTION,
    NAME_ID,
    SIGNATURE,
    XS,
    XSI,
)
from broker.adapters.saml.xml_security.xml_structure_checks import apply_checks
from broker.core.errors import MessageRefused

_Message = TypeVar("_Message", bound=SamlBase)
_TYPE: Final = f"{{{XSI}}}type"
# pysaml2 converts the other types to Python's and back: 007 becomes 7, and TRUE becomes true.
# Google Workspace writes anyType at every value.
_TEXT_TYPES: Final = frozenset((f"{{{XS}}}string", f"{{{XS}}}anyType"))
_LEFT_OUT_OF_ENVELOPE: Final = (SIGNATURE, ASSERTION, ENCRYPTED_ASSERTION)


def _has_child_elements(value: etree._Element) -> bool:
    """Refuse a value with child elements: pysaml2 would keep only a part of its text.

    A single NameID (eduPersonTargetedID) without text around it is allowed.
    """
    if len(value) == 0:
        return False
    if [child.tag for child in value] != [NAME_ID] or len(value[0]) > 0:
        return True
    return bool(((value.text or "") + (value[0].tail or "")).strip())


def _has_foreign_type(value: etree._Element) -> bool:
    """Refuse an xsi:type other than text, by the namespace of the type and not by its prefix."""
    written = value.get(_TYPE)
    if written is None:
        return False
    prefix, _, name = written.strip().rpartition(":")
    return f"{{{value.nsmap.get(prefix or None)}}}{name}" not in _TEXT_TYPES


VALUE_CHECKS: Final[dict[str, Callable[[etree._Element], bool]]] = {
    "value_structure": _has_child_elements,
    "value_type": _has_foreign_type,
}


def read_message(kind: type[_Message], element: etree._Element, octets: bytes) -> _Message:
    """Return the message in ``octets``, which are the canonical form of ``element``.

    Raises MessageRefused with ``xml.<name>`` of VALUE_CHECKS, or with ``xml.unreadable``.
    """
    for value in element.iter(ATTRIBUTE_VALUE):
        apply_checks(VALUE_CHECKS, value)
    try:
        # Canonical form has no DOCTYPE, so the standard library's parser expands no entities.
        message = create_class_from_element_tree(kind, ET.fromstring(octets))  # noqa: S314
    except Exception:  # noqa: BLE001 - no input may raise anything else
        raise MessageRefused("xml.unreadable") from None
    if not isinstance(message, kind):
        raise MessageRefused("xml.unreadable")
    return message


def read_signed(
    kind: type[_Message], element: etree._Element, keys: Sequence[signature.VerifyKey]
) -> _Message:
    """Return a message from the octets that its own signature covers.

    Raises the errors of ``signature.verify`` and ``read_message``.
    """
    return read_message(kind, element, signature.verify(element, keys))


def read_unsigned(kind: type[_Message], element: etree._Element) -> _Message:
    """Return an unsigned message, without the assertions of a Response.

    The caller may use an unsigned envelope only to refuse it.
    """
    envelope = copy_without(element, _LEFT_OUT_OF_ENVELOPE)
    return read_message(kind, envelope, canonicalize(envelope))
