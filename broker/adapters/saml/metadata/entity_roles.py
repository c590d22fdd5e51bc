"""Reads the roles of an entity in a file or a feed: its descriptors, categories and scopes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from lxml import etree

from broker.adapters.saml.feeds.aggregates import Entity, read_ends
from broker.adapters.saml.metadata.descriptor_keys import Remarks
from broker.adapters.saml.metadata.descriptor_rewriting import BOUNDS, rewrite
from broker.adapters.saml.metadata.role_descriptors import (
    ServiceDescriptor,
    UpstreamDescriptor,
    read_entity_attributes,
    read_service,
    read_upstream,
)
from broker.adapters.saml.xml_security.canonical_form import build_parser
from broker.adapters.saml.xml_security.xml_names import IDP_ROLE, MD, SHIBMD, SP_ROLE
from broker.core.errors import Fault, MessageRefused

# Regular expressions (shibmd, regexp="true") are ignored: it could not be found out whether they
# overlap with the scopes of other institutions.
_SCOPES: Final = etree.XPath(
    "(../md:Extensions | md:Extensions)/shibmd:Scope"
    "[not(@regexp) or normalize-space(@regexp) = 'false' or normalize-space(@regexp) = '0']",
    namespaces={"md": MD, "shibmd": SHIBMD},
)
_MOST_FAULTS: Final = 20
_FEED: Final = "feed"
_FIXES: Final = {
    "xml.doctype": "take the DOCTYPE out",
    "xml.schema": "validate it against saml-schema-metadata-2.0.xsd",
    "xml.size": "keep only the entities you need",
    "xml.encoding": "save it as UTF-8",
    "xml.unreadable": "is it XML, whole, in UTF-8 or UTF-16?",
}
_CATEGORY: Final = "http://macedir.org/entity-category"
_Descriptor = TypeVar("_Descriptor")


@dataclass(frozen=True, slots=True)
class PublishedScopes:
    """The scopes that an identity provider publishes, and when they expire."""

    scopes: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class FoundRole(Generic[_Descriptor]):
    """An entity's descriptor in a role, or why it cannot be used; ``where`` is its file or feed."""

    where: str
    descriptor: _Descriptor | None
    faults: tuple[Fault, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundEntity:
    """The roles of an entity in one place; None for a role that it does not have."""

    upstream: FoundRole[UpstreamDescriptor] | None
    service: FoundRole[ServiceDescriptor] | None
    scopes: FoundRole[PublishedScopes] | None
    categories: frozenset[str] = frozenset()


def read_entity(where: str, entity: etree._Element, until: Sequence[datetime]) -> FoundEntity:
    """Return the roles of an entity; each is faulty if it is no sound metadata.

    ``until`` is the expiry dates of the entity and of the collections around it.
    """
    try:
        element = rewrite(entity)
    except MessageRefused as refused:
        return _refuse(where, entity.get("entityID", ""), refused)
    return FoundEntity(
        upstream=_read_role(where, element, until, IDP_ROLE, read_upstream),
        service=_read_role(where, element, until, SP_ROLE, read_service),
        scopes=_read_role(where, element, until, IDP_ROLE, _read_scopes),
        categories=frozenset(read_entity_attributes(element, _CATEGORY)),
    )


def _refuse(where: str, name: str, refused: MessageRefused) -> FoundEntity:
    faulty: FoundRole[Any] = FoundRole(where, None, (explain_refusal(where, refused, f"{name} "),))
    return FoundEntity(faulty, faulty, faulty)


def explain_refusal(where: str, refused: MessageRefused, of_what: str = "") -> Fault:
    """Return why a file or an entity in it is refused, with a fix."""
    what = f"{of_what}is no valid metadata: {refused}"
    return Fault(where, what, _FIXES.get(refused.cause, ""))


def _read_role(
    where: str,
    entity: etree._Element,
    until: Sequence[datetime],
    role: str,
    read: Callable[[etree._Element, datetime | None, Remarks], _Descriptor | None],
) -> FoundRole[_Descriptor] | None:
    """Read a role of a rewritten entity; two roles of a kind are a fault."""
    elements = entity.findall(role)
    if not elements:
        return None
    entity_id = entity.get("entityID", "")
    if len(elements) > 1:
        name = role.rpartition("}")[2]
        return FoundRole(
            where, None, (Fault(where, f"{entity_id} has several {name}s", "keep one"),)
        )
    remarks = Remarks(where, entity_id)
    end = min((*until, *read_ends(elements[0])), default=None)
    descriptor = read(elements[0], end, remarks)
    return FoundRole(where, descriptor, tuple(remarks.faults), tuple(remarks.notices))


def _read_scopes(
    role: etree._Element, until: datetime | None, _remarks: Remarks
) -> PublishedScopes:
    found: Any = _SCOPES(role)
    return PublishedScopes(tuple((scope.text or "").strip() for scope in found), until)


@dataclass(frozen=True, slots=True)
class FeedDescriptors:
    """The descriptors and scopes of a feed by entityID, and notices about what is not used."""

    upstreams: Mapping[str, UpstreamDescriptor]
    services: Mapping[str, ServiceDescriptor]
    scopes: Mapping[str, PublishedScopes]
    notices: Sequence[str]


def read_feed_descriptors(
    entities: Mapping[str, Entity], upstreams: Collection[str], services: Collection[str]
) -> FeedDescriptors:
    """Return the descriptors of ``upstreams`` and ``services``, and all scopes.

    A service gets the entity categories that the feed's publisher vouches for
    (docs/reference/saml-profiles.md#48).
    """
    notices: list[str] = []
    idps: dict[str, UpstreamDescriptor] = {}
    sps: dict[str, ServiceDescriptor] = {}
    scopes: dict[str, PublishedScopes] = {}
    for name, entity in entities.items():
        found = _read_feed_entity(entity)
        if name in upstreams and (idp := _take(found.upstream, notices)):
            idps[name] = idp
        if name in services and (sp := _take(found.service, notices)):
            sps[name] = replace(sp, categories=found.categories)
        if found.scopes and found.scopes.descriptor:
            scopes[name] = found.scopes.descriptor
    return FeedDescriptors(idps, sps, scopes, notices[:_MOST_FAULTS])


def _take(role: FoundRole[_Descriptor] | None, notices: list[str]) -> _Descriptor | None:
    """Return the descriptor of a role if it can be used; add its faults to ``notices``."""
    if role is None:
        return None
    notices += (*map(str, role.faults), *role.notices)
    return role.descriptor


def _read_feed_entity(entity: Entity) -> FoundEntity:
    if len(entity.octets) > BOUNDS.octets:
        return _refuse(_FEED, entity.entity_id, MessageRefused("xml.size"))
    element = etree.fromstring(entity.octets, build_parser(keeps_comments=False))
    return read_entity(_FEED, element, [entity.until])
