"""Turns the messages of pysaml2's classes into the trees that are signed and sent."""

from typing import Final
from xml.etree import ElementTree as ET

from lxml import etree
from saml2 import SamlBase

from broker.adapters.saml.xml_security.xml_names import PREFIXES
from broker.core.errors import BrokerError

# Every element declares its namespace under the conventional prefix. With counted prefixes (ns0 in
# a Response, ns1 in its Assertion) a receiver that moves the Assertion out of the Response would
# rename them and break the signature (docs/reference/interop.md#prefixes).
_NAMESPACE_MAP: Final = {
    namespace: {prefix: namespace} for prefix, namespace in PREFIXES.items() if prefix != "xml"
}
_DECLARATION: Final = "xmlns:"


def tree(message: SamlBase) -> etree._Element:
    """Return a message as an lxml tree.

    ``BrokerError`` for a value with a character that XML cannot hold.
    """
    holder = ET.Element("holder")
    message.become_child_element_of(holder)
    try:
        return _copy(holder[0], None)
    except ValueError:
        raise BrokerError("a value holds a character that XML cannot hold") from None


def _copy(source: ET.Element, parent: etree._Element | None) -> etree._Element:
    """Copy an element of the standard library, with everything in it, below ``parent``."""
    namespaces = dict(_NAMESPACE_MAP.get(source.tag[1:].partition("}")[0], {}))
    attributes = {}
    for name, value in source.attrib.items():
        if name.startswith(_DECLARATION):  # pysaml2 declares the namespace of an xsi:type so
            namespaces[name.removeprefix(_DECLARATION)] = value
            continue
        attributes[name] = value
        if name[0] == "{":
            namespaces |= _NAMESPACE_MAP.get(name[1:].partition("}")[0], {})
    if parent is None:
        copy = etree.Element(source.tag, attributes, namespaces)
    else:
        copy = etree.SubElement(parent, source.tag, attributes, namespaces)
    copy.text = source.text
    for child in source:
        _copy(child, copy)
    return copy
