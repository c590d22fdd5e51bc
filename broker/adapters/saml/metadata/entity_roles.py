"""Reads descriptors, entity categories and scopes of an entity from a file or a feed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from lxml import etree

from broker.adapters.saml.feeds.aggregates import Entity
from broker.adapters.saml.metadata.descriptor_keys import Remarks
from broker.adapters.saml.metadata.descriptor_rewriting import BOUNDS, SHIBMD, rewrite
from broker.adapters.saml.metadata.entity_attributes import ATTRIBUTES
from broker.adapters.saml.metadata.role_descriptors import (
    IDP_ROLE,
    SP_ROLE,
    ServiceDescriptor,
    UpstreamDescriptor,
    read_service,
    read_upstream,
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
    """Reads the descriptor of an entity from a role; None if it cannot be used."""

    def __call__(
        self, entity_id: str, element: etree._Element, until: datetime | None, remarks: Remarks, /
    ) -> _DescriptorRead_co | None:
        """Add the reasons to ``remarks``."""
        ...


@dataclass(frozen=True, slots=True)
class FoundRole(Generic[_Descriptor]):
    """An entity's descriptor in a role, or why it cannot be used; ``where`` is its file or feed."""

    where: str
    descriptor: _Descriptor | None
    faults: tuple[Fault, ...] = ()
    notices: tuple[str, ...] = ()


def read_upstream_roles(
    where: str, entity: etree._Element, until: Sequence[datetime]
) -> Iterator[FoundRole[UpstreamDescriptor]]:
    """Yield the IdP role of a rewritten entity, if it has one.

    ``until`` is the expiry dates of the entity and of the collections around it.
    """
    return _read_roles(where, entity, until, (IDP_ROLE, read_upstream))


def read_service_roles(
    where: str, entity: etree._Element, until: Sequence[datetime]
) -> Iterator[FoundRole[ServiceDescriptor]]:
    """Yield the SP role of a rewritten entity, if it has one."""
    return _read_roles(where, entity, until, (SP_ROLE, read_service))


def _read_roles(
    where: str,
    entity: etree._Element,
    until: Sequence[datetime],
    kind: tuple[str, RoleReader[_Descriptor]],
) -> Iterator[FoundRole[_Descriptor]]:
    """Yield one result for an entity that has the role; two roles of a kind are a fault."""
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
        end = min((*until, *read_ends([element])), default=None)
        descriptor = read(entity_id, element, end, remarks)
        faults = [Fault(where, f"{entity_id} {what}", fix) for what, fix in remarks.faults]
        notices = [f"{where}: {entity_id} {notice}" for notice in remarks.notices]
        yield FoundRole(where, descriptor, tuple(faults), tuple(notices))


def read_scopes(entity: etree._Element) -> tuple[str, ...] | None:
    """Return the published scopes of a rewritten entity, or None if it has not one IdP role.

    Expressions (``regexp="true"``, shibmd) are ignored: overlaps with the scopes of other
    institutions could not be found.
    """
    if len(entity.findall(IDP_ROLE)) != 1:
        return None
    return tuple(read_texts(entity, _SCOPES))


def read_texts(element: etree._Element, path: etree.XPath) -> list[str]:
    """Return the texts of the elements at a path."""
    found: Any = path(element)
    return [(value.text or "").strip() for value in found]


def read_ends(elements: Sequence[etree._Element]) -> Iterator[datetime]:
    """Yield the validUntil of the elements that have one; an unreadable one has expired."""
    for element in elements:
        if "validUntil" in element.attrib:
            yield xml_times.read(element.get("validUntil", "")) or _LONG_AGO


@dataclass(frozen=True, slots=True)
class FeedDescriptors:
    """The descriptors of a feed by entityID, and notices about what is not used."""

    upstreams: Mapping[str, UpstreamDescriptor]
    services: Mapping[str, ServiceDescriptor]
    notices: Sequence[str]


def read_feed_descriptors(
    kept: Mapping[str, Entity], upstreams: Collection[str], services: Collection[str]
) -> FeedDescriptors:
    """Return the descriptors of the named entities; ``kept`` is by entityID.

    A service gets the entity categories that the feed's publisher vouches for
    (docs/reference/saml-profiles.md#48).
    """
    notices: list[str] = []
    idps: dict[str, UpstreamDescriptor] = {}
    sps: dict[str, ServiceDescriptor] = {}
    wanted = [name for name in kept if name in upstreams or name in services]
    for name in wanted:
        entity = kept[name]
        try:
            element = parse_entity(entity)
        except MessageRefused as refused:
            notices.append(str(Fault(name, f"is no sound metadata: {refused}")))
            continue
        if name in upstreams:
            idp = _take_only(read_upstream_roles(_FEED, element, [entity.until]), notices)
            idps |= {name: idp} if idp else {}
        if name in services:
            sp = _take_only(read_service_roles(_FEED, element, [entity.until]), notices)
            sps |= {name: _add_categories(sp, element)} if sp else {}
    return FeedDescriptors(idps, sps, notices[:_MOST_FAULTS])


def _take_only(roles: Iterator[FoundRole[_Descriptor]], notices: list[str]) -> _Descriptor | None:
    """Return the descriptor of the only role, if it can be used; add to ``notices`` why not."""
    role = next(roles, None)
    if role is None:
        return None
    notices += (*map(str, role.faults), *role.notices)
    return role.descriptor


def _add_categories(descriptor: ServiceDescriptor, entity: etree._Element) -> ServiceDescriptor:
    categories = frozenset(read_texts(entity, _CATEGORIES))
    return replace(descriptor, categories=categories)


def read_feed_scopes(entity: Entity) -> Sequence[str] | None:
    """Return the scopes of an identity provider in a verified feed; None if it is unusable."""
    try:
        return read_scopes(parse_entity(entity))
    except MessageRefused:
        return None


def parse_entity(entity: Entity) -> etree._Element:
    """Return a rewritten entity of a feed; ``MessageRefused`` if it cannot be used."""
    if len(entity.octets) > BOUNDS.octets:
        raise MessageRefused("xml.size")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
    )
    return rewrite(etree.fromstring(entity.octets, parser))
