"""Turns the messages of pysaml2's classes into the trees that are signed and sent."""

from xml.etree import ElementTree as ET

from lxml import etree
from saml2 import SamlBase

from broker.adapters.saml.xml_security.canonical_form import build_parser
from broker.adapters.saml.xml_security.xml_names import PREFIXES
from broker.core.errors import BrokerError

# With counted prefixes (ns0 in a Response, ns1 in its Assertion) a receiver that moves the
# Assertion out of the Response would rename them and break the signature
# (docs/reference/interop.md#prefixes).
for _prefix, _namespace in PREFIXES.items():
    ET.register_namespace(_prefix, _namespace)


def tree(message: SamlBase) -> etree._Element:
    """Return a message as an lxml tree, with the conventional prefixes.

    ``BrokerError`` for a value with a character that XML cannot hold.
    """
    holder = ET.Element("holder")
    message.become_child_element_of(holder)
    # A parser reads a bare carriage return as a line feed.
    octets = ET.tostring(holder[0]).replace(b"\r", b"&#13;")
    try:
        return etree.fromstring(octets, build_parser())
    except etree.XMLSyntaxError:
        raise BrokerError("a value holds a character that XML cannot hold") from None
