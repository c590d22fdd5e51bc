"""Validates a message as it was received against the XML schemas of SAML 2.0, in process and without a network."""

import threading
from functools import cache
from importlib.resources import files
from typing import Any, Final

from lxml import etree

from broker.adapters.saml.gate.names import MD, SAMLP, XENC11

_SHIPPED: Final = files("saml2.data.schemas")  # the XSDs that pysaml2 ships
_ENTRIES: Final = (
    (SAMLP, "saml-schema-protocol-2.0.xsd"),  # imports assertion, xmldsig and xenc
    (MD, "saml-schema-metadata-2.0.xsd"),
    (XENC11, "xenc-schema-11.xsd"),
)
_turn = (
    threading.Lock()
)  # a compiled schema has one error log, so threads take turns (0.03 ms each)


class _Shipped(etree.Resolver):
    """Finds every schema location, whatever its host, among the shipped files."""

    def resolve(self, system_url: str, _public_id: str, opening: Any) -> Any:  # type: ignore[override]  # stubs lack one
        """Give the shipped file of that name."""
        shipped = _SHIPPED / system_url.rsplit("/", 1)[-1]
        return self.resolve_string(shipped.read_bytes(), opening, base_url=system_url)


@cache
def _compiled() -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(_Shipped())
    imports = "".join(
        f'<import namespace="{space}" schemaLocation="{name}"/>' for space, name in _ENTRIES
    )
    source = f'<schema xmlns="http://www.w3.org/2001/XMLSchema">{imports}</schema>'
    return etree.XMLSchema(etree.fromstring(source.encode(), parser))


def valid(root: etree._Element) -> bool:
    """Say whether the document of ``root`` obeys the schemas (saml-core, saml-metadata, xmldsig, xenc, xenc11).

    Nothing is added to the tree. An xsi:schemaLocation would be followed by libxml2, so the gate
    refuses it first.
    """
    with _turn:
        return bool(_compiled().validate(root.getroottree()))
