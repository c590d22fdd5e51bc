"""Serialises the messages of pysaml2's classes under the conventional prefixes."""

from xml.etree import ElementTree as ET

from lxml import etree
from saml2 import SamlBase

from broker.adapters.saml.xml_security.xml_names import PREFIXES
from broker.core.errors import BrokerError

# Without a registered prefix ElementTree counts anew in each message: one namespace is ns0 in a
# Response and ns1 in the Assertion. A receiver that moves the Assertion out of the Response renames
# it then, and its signature is over other octets (docs/reference/interop.md#prefixes). Registered
# once: pysaml2's own way does it in each call, and another thread may write meanwhile.
for _prefix, _namespace in PREFIXES.items():
    ET.register_namespace(_prefix, _namespace)


def octets(message: SamlBase) -> bytes:
    """Return a message as UTF-8 with an XML declaration.

    ElementTree escapes a carriage return in attributes only. A parser would read one in a text as a
    line feed, so it is escaped here.
    """
    return bytes(message.to_string()).replace(b"\r", b"&#13;")


def tree(message: SamlBase) -> etree._Element:
    """Return a message as the tree that is signed.

    ``BrokerError`` for a value with a character that XML cannot hold.
    """
    try:
        return etree.fromstring(octets(message), etree.XMLParser(huge_tree=True))
    except (etree.XMLSyntaxError, UnicodeEncodeError):
        raise BrokerError("a value holds a character that XML cannot hold") from None
