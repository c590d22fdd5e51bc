"""Reads the descriptors of the entities in use from their metadata, of a file or of a feed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from lxml import etree

from broker.adapters.saml.feeds.aggregates import Entity
from broker.adapters.saml.metadata.descriptor_keys import Remarks
from broker.adapters.saml.metadata.descriptor_rewriting import BOUNDS, SHIBMD, rewritten
from broker.adapters.saml.metadata.entity_attributes import ATTRIBUTES
from broker.adapters.saml.metadata.role_descriptors import (
    IDP_ROLE,
    SP_ROLE,
    ServiceDescriptor,
    UpstreamDescriptor,
    service,
    upstream,
)
from broker.adapters.saml.xml_security import xml_times
from broker.adapters.saml.xml_security.xml_names import MD, SAML
from broker.core.errors import Fault, MessageRefused

_SCOPES: Final = etree.XPath(
    "(md:Extensions | md:IDPSSODescriptor/md:Extensions)/shibmd:Scope"
    "[not(@regexp) or normalize-space(@regexp) = 'false' or normalize-space(@regexp) = '0']",
    namespaces={"md": MD, "shibmd": SHIBMD},
)
_MOST_FAULTS: Final = 20
_FEED: Final = "feed"
_CATEGORIES: Final = etree.XPath(
    "md:Extensions/attr:EntityAttributes"
    "/saml:Attribute[@Name='http://macedir.org/entity-category']/saml:AttributeValue",
    namespaces={"md": MD, "saml": SAML, "attr": ATTRIBUTES},
)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_Descriptor = TypeVar("_Descriptor")
_DescriptorRead_co = TypeVar("_DescriptorRead_co", covariant=True)


class RoleReader(Protocol[_DescriptorRead_co]):
    """Reads the descriptor of an entity from a role; None where it cannot be used."""

    def __call__(
        self, entity_id: str, element: etree._Element, until: datetime | None, remarks: Remarks, /
    ) -> _DescriptorRead_co | None:
        """Put all that keeps it from use into ``remarks``."""
        ...


@dataclass(frozen=True, slots=True)
class FoundRole(Generic[_Descriptor]):
    """An entity's descriptor in a role, or why there is none that can be used.

    ``where`` names the file or the feed that holds it.
    """

    where: str
    descriptor: _Descriptor | None
    faults: tuple[Fault, ...] = ()
    notices: tuple[str, ...] = ()


def upstream_roles(
    where: str, entity: etree._Element, until: Sequence[datetime]
) -> Iterator[FoundRole[UpstreamDescriptor]]:
    """Yield what a rewritten entity publishes of itself as an identity provider, if it is one.

    ``until`` are the ends of the entity and of all around it.
    """
    return _roles(where, entity, until, (IDP_ROLE, upstream))


def service_roles(
    where: str, entity: etree._Element, until: Sequence[datetime]
) -> Iterator[FoundRole[ServiceDescriptor]]:
    """Yield what a rewritten entity publishes of itself as a service provider, if it is one."""
    return _roles(where, entity, until, (SP_ROLE, service))


def _roles(
    where: str,
    entity: etree._Element,
    until: Sequence[datetime],
    kind: tuple[str, RoleReader[_Descriptor]],
) -> Iterator[FoundRole[_Descriptor]]:
    """Yield one result for an entity that has the role; two roles of a kind are its fault."""
    role, read = kind
    elements = entity.findall(role)
    entity_id = entity.get("entityID", "")
    if len(elements) > 1:
        name = role.rpartition("}")[2]
        yield FoundRole(
            where, None, (Fault(where, f"{entity_id} has several {name}s", "keep one"),)
        )
        return
    for element in elements:
        remarks = Remarks()
        end = min((*until, *ends([element])), default=None)
        descriptor = read(entity_id, element, end, remarks)
        faults = [Fault(where, f"{entity_id} {what}", fix) for what, fix in remarks.faults]
        notices = [f"{where}: {entity_id} {notice}" for notice in remarks.notices]
        yield FoundRole(where, descriptor, tuple(faults), tuple(notices))


def read_scopes(entity: etree._Element) -> tuple[str, ...] | None:
    """Return the scopes that a rewritten entity publishes for itself as an identity provider.

    None where it is none, or two. Expressions (``regexp="true"``) are left out: the values that
    they match cannot be compared with another institution's (shibmd).
    """
    if len(entity.findall(IDP_ROLE)) != 1:
        return None
    return tuple(texts(entity, _SCOPES))


def texts(element: etree._Element, path: etree.XPath) -> list[str]:
    """Return the texts of the elements at a path."""
    found: Any = path(element)
    return [(value.text or "").strip() for value in found]


def ends(elements: Sequence[etree._Element]) -> Iterator[datetime]:
    """Yield the validUntil of the elements that have one; of one that no calendar has, long ago.

    Nobody can say when that is, and passed over it would never come.
    """
    for element in elements:
        if "validUntil" in element.attrib:
            yield xml_times.read(element.get("validUntil", "")) or _LONG_AGO


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
            idp = _only(upstream_roles(_FEED, element, [entity.until]), notices)
            idps |= {name: idp} if idp else {}
        if name in services:
            sp = _only(service_roles(_FEED, element, [entity.until]), notices)
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
    categories = frozenset(texts(entity, _CATEGORIES))
    return replace(descriptor, categories=categories)


def feed_scopes(entity: Entity) -> Sequence[str] | None:
    """Return the scopes that a verified feed allows an identity provider.

    None where the entity is none, or cannot be used.
    """
    try:
        return read_scopes(gated(entity))
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
