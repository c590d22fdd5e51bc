"""Reads descriptors, entity categories and scopes of the entities in use from a verified feed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from lxml import etree

from broker.adapters.saml.metadata import entity_roles
from broker.adapters.saml.metadata.aggregates import Entity
from broker.adapters.saml.metadata.descriptor_rewriting import BOUNDS, rewritten
from broker.adapters.saml.metadata.entity_attributes import ATTRIBUTES
from broker.adapters.saml.metadata.entity_roles import FoundRole
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor, UpstreamDescriptor
from broker.adapters.saml.xml_security.xml_names import MD, SAML
from broker.core.errors import Fault, MessageRefused

_MOST_FAULTS: Final = 20
_WHERE: Final = "feed"
_Descriptor = TypeVar("_Descriptor")
_CATEGORIES: Final = etree.XPath(
    "md:Extensions/attr:EntityAttributes"
    "/saml:Attribute[@Name='http://macedir.org/entity-category']/saml:AttributeValue",
    namespaces={"md": MD, "saml": SAML, "attr": ATTRIBUTES},
)


@dataclass(frozen=True, slots=True)
class FeedDescriptors:
    """The descriptors of a feed by entityID, and what keeps others from use or was passed over."""

    upstreams: Mapping[str, UpstreamDescriptor]
    services: Mapping[str, ServiceDescriptor]
    notices: Sequence[str]


def descriptors(
    kept: Mapping[str, Entity], upstreams: Collection[str], services: Collection[str]
) -> FeedDescriptors:
    """Return the descriptors of the entities named.

    ``kept`` is by entityID. A service has the entity categories that the feed's publisher has
    vouched for (docs/reference/saml-profiles.md#48), in the one entity that its role is read from.
    """
    notices: list[str] = []
    idps: dict[str, UpstreamDescriptor] = {}
    sps: dict[str, ServiceDescriptor] = {}
    wanted = [name for name in kept if name in upstreams or name in services]
    for name in wanted:
        entity = kept[name]
        try:
            element = gated(entity)
        except MessageRefused as refused:
            notices.append(str(Fault(name, f"is no sound metadata: {refused}")))
            continue
        if name in upstreams:
            idp = _only(entity_roles.upstream_roles(_WHERE, element, [entity.until]), notices)
            idps |= {name: idp} if idp else {}
        if name in services:
            sp = _only(entity_roles.service_roles(_WHERE, element, [entity.until]), notices)
            sps |= {name: _vouched(sp, element)} if sp else {}
    return FeedDescriptors(idps, sps, notices[:_MOST_FAULTS])


def _only(roles: Iterator[FoundRole[_Descriptor]], notices: list[str]) -> _Descriptor | None:
    """Return the descriptor of the one role, if it can be used; ``notices`` say why not."""
    role = next(roles, None)
    if role is None:
        return None
    notices += (*map(str, role.faults), *role.notices)
    return role.descriptor


def _vouched(descriptor: ServiceDescriptor, entity: etree._Element) -> ServiceDescriptor:
    categories = frozenset(entity_roles.texts(entity, _CATEGORIES))
    return replace(descriptor, categories=categories)


def scopes(entity: Entity) -> Sequence[str] | None:
    """Return the scopes that a verified feed allows an identity provider.

    None where the entity is none, or cannot be used.
    """
    try:
        return entity_roles.scopes(gated(entity))
    except MessageRefused:
        return None


def gated(entity: Entity) -> etree._Element:
    """Return an entity as it was rewritten; ``MessageRefused`` where it cannot be used."""
    if len(entity.octets) > BOUNDS.octets:
        raise MessageRefused("xml.size")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
    )
    return rewritten(etree.fromstring(entity.octets, parser))
