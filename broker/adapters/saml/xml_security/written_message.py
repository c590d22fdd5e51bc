"""Turns the messages of pysaml2's classes into the trees that are signed and sent."""

from typing import Final

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

    Raises BrokerError for a value with a character that XML cannot contain.
    """
    try:
        return _write(message, None)
    except ValueError:
        raise BrokerError("a value holds a character that XML cannot hold") from None


def _write(message: SamlBase, parent: etree._Element | None) -> etree._Element:
    """Write an element of pysaml2, with everything in it, below ``parent``."""
    values = vars(message)
    namespaces = dict(_NAMESPACE_MAP.get(message.c_namespace, {}))
    attributes = {}
    for name, value in _collect_attributes(message).items():
        if name[:6] == _DECLARATION:  # pysaml2 declares the namespace of an xsi:type so
            namespaces[name[6:]] = value
            continue
        attributes[name] = value
        if name[0] == "{":
            namespaces |= _NAMESPACE_MAP.get(name[1:].partition("}")[0], {})
    tag = f"{{{message.c_namespace}}}{message.c_tag}"
    if parent is None:
        element = etree.Element(tag, attributes, namespaces)
    else:
        element = etree.SubElement(parent, tag, attributes, namespaces)
    element.text = message.text
    for member in message.c_child_order or [known[0] for known in message.c_children.values()]:
        children = values[member] or []
        for child in children if isinstance(children, list) else [children]:
            _write(child, element)
    for child in message.extension_elements:
        _write(child, element)
    return element


def _collect_attributes(message: SamlBase) -> dict[str, str]:
    """Return the attributes that an element of pysaml2 has."""
    values = vars(message)
    attributes: dict[str, str] = {
        name: value
        for name, known in message.c_attributes.items()
        if (value := values[known[0]]) is not None
    }
    attributes |= message.extension_attributes
    return attributes
