"""Reads the descriptors of the entities in use from their metadata, of a file or of a feed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from lxml import etree

from broker.adapters.saml.metadata.descriptor_remarks import Remarks
from broker.adapters.saml.metadata.descriptor_rewriting import SHIBMD
from broker.adapters.saml.metadata.role_descriptors import (
    IDP_ROLE,
    SP_ROLE,
    ServiceDescriptor,
    UpstreamDescriptor,
    service,
    upstream,
)
from broker.adapters.saml.xml_security import xml_times
from broker.adapters.saml.xml_security.xml_names import MD
from broker.core.errors import Fault

_SCOPES: Final = etree.XPath(
    "(md:Extensions | md:IDPSSODescriptor/md:Extensions)/shibmd:Scope"
    "[not(@regexp) or normalize-space(@regexp) = 'false' or normalize-space(@regexp) = '0']",
    namespaces={"md": MD, "shibmd": SHIBMD},
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


def scopes(entity: etree._Element) -> tuple[str, ...] | None:
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
