"""Reads descriptors, entity categories and scopes of the entities in use from a verified feed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from lxml import etree

from broker.adapters.saml.gate import safe_parser
from broker.adapters.saml.gate.xml_names import ENTITY, MD, SAML, SIGNATURE
from broker.adapters.saml.gate.xml_structure_checks import Bounds
from broker.adapters.saml.metadata.aggregates import Entity
from broker.adapters.saml.metadata.metadata_folder import FoundElement, Metadata, described
from broker.adapters.saml.metadata.role_descriptors import IDP_ROLE, SP_ROLE, service, upstream
from broker.core.errors import Fault, MessageRefused

_SPACES: Final = {
    "md": MD,
    "saml": SAML,
    "shibmd": "urn:mace:shibboleth:metadata:1.0",
    "attr": "urn:oasis:names:tc:SAML:metadata:attribute",
}
# Ten times what the largest real entity has. Each fault against the schemas costs more than the one
# before: a hundred thousand of them keep a worker for minutes, and again at each start.
_BOUNDS: Final = Bounds(
    octets=2 * 1024 * 1024,
    nodes=20_000,
    attributes=20_000,
    namespaces=5_000,
)
_MOST_FAULTS: Final = 20
_CATEGORIES: Final = etree.XPath(
    "md:Extensions/attr:EntityAttributes"
    "/saml:Attribute[@Name='http://macedir.org/entity-category']/saml:AttributeValue",
    namespaces=_SPACES,
)
_SCOPES: Final = etree.XPath(
    "(md:Extensions | md:IDPSSODescriptor/md:Extensions)/shibmd:Scope"
    "[not(@regexp) or normalize-space(@regexp) = 'false' or normalize-space(@regexp) = '0']",
    namespaces=_SPACES,
)


def descriptors(
    kept: Mapping[str, Entity],
    upstreams: Collection[str],
    services: Collection[str],
    now: datetime,
) -> tuple[Metadata, Sequence[Fault]]:
    """Return the descriptors of the entities named, and what keeps others from use.

    ``kept`` is by entityID. A service has the entity categories that the feed's publisher has
    vouched for (docs/reference/saml-profiles.md#48), in the one entity that its role is read from.
    """
    faults: list[Fault] = []
    found = {name: list(_elements(entity, faults)) for name, entity in kept.items()}
    idp_ids = [name for name in upstreams if name in found]
    sp_ids = [name for name in services if name in found]
    idps = described(idp_ids, found, (IDP_ROLE, upstream), now, faults, fed=True)
    sps = described(sp_ids, found, (SP_ROLE, service), now, faults, fed=True)
    vouched = {}
    for name, descriptor in sps.items():
        categories = _values(found[name][0].element, _CATEGORIES)
        vouched[name] = replace(descriptor, categories=frozenset(categories))
    return Metadata(idps, vouched), faults[:_MOST_FAULTS]


def scopes(entity: Entity) -> Sequence[str] | None:
    """Return the scopes that a verified feed allows an identity provider.

    None where the entity is none, or two. Expressions (``regexp="true"``) are left out: the values
    they match cannot be compared with another institution's (shibmd).
    """
    found = next(_elements(entity, []), None)
    if found is None or len(found.element.findall(IDP_ROLE)) != 1:
        return None
    return _values(found.element, _SCOPES)


def _elements(entity: Entity, faults: list[Fault]) -> Iterator[FoundElement]:
    """Let an entity through the gate, without its own signature: the feed's covers it."""
    try:
        element = _gated(entity.octets)
    except MessageRefused as refused:
        faults.append(Fault(entity.entity_id, f"is no sound metadata: {refused.cause}"))
        return
    yield FoundElement("feed", element, (entity.until,))


def _gated(octets: bytes) -> etree._Element:
    if len(octets) > _BOUNDS.octets:
        raise MessageRefused("gate.size")
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True)
    root = etree.fromstring(octets, parser)
    for signature in root.findall(SIGNATURE):
        root.remove(signature)
    return safe_parser.parse(etree.tostring(root, encoding="utf-8"), ENTITY, _BOUNDS)


def _values(element: etree._Element, path: etree.XPath) -> list[str]:
    found: Any = path(element)
    return [(value.text or "").strip() for value in found]
