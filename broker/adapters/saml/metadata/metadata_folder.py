"""The only reader of metadata/: the descriptors of all upstreams and services, or all faults."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from lxml import etree

from broker.adapters.saml.gate import safe_parser, xml_times
from broker.adapters.saml.gate.algorithm_selection import DescriptorFaults
from broker.adapters.saml.gate.xml_names import ENTITIES, ENTITY
from broker.adapters.saml.metadata.entity_attributes import entity_descriptors
from broker.adapters.saml.metadata.role_descriptors import (
    IDP_ROLE,
    SP_ROLE,
    ServiceDescriptor,
    UpstreamDescriptor,
    service,
    upstream,
)
from broker.core.entities import Upstream
from broker.core.errors import ConfigurationFaults, Fault, MessageRefused
from broker.core.login.transaction import SKEW

# A hub's own aggregate lists hundreds of scopes and logos; a file far above this is a feed, read
# elsewhere.
BOUNDS: Final = safe_parser.Bounds(
    octets=16 * 1024 * 1024,
    depth=40,
    nodes=1_000_000,
    attributes=1_000_000,
    namespaces=100_000,
)
# What a program writes about the file it made, mod_shib for one
# (docs/reference/interop.md#metadata-comment). No reader looks before the root element, so that
# this cuts no text in two; a comment anywhere else is refused.
_HEADING: Final = re.compile(rb"\A(\s*(?:<\?xml[^>]*\?>)?)\s*(?:<!--.*?-->\s*)+", re.DOTALL)
_MENDS: Final = {
    "gate.comment": "take the XML comments out",
    "gate.instruction": "take the processing instructions out",
    "gate.doctype": "take the DOCTYPE out",
    "gate.schema_location": "take xsi:schemaLocation out",
    "gate.schema": "validate it against saml-schema-metadata-2.0.xsd",
    "gate.size": "keep only the entities you need",
    "gate.unreadable": "is it XML in UTF-8?",
}
_Descriptor = TypeVar("_Descriptor")
_DescriptorRead_co = TypeVar("_DescriptorRead_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the peers publish about themselves, by entityID.

    Files in the folder are trusted as configuration is. ``completed_upstreams`` are the configured
    upstreams, by name, completed by what feeds publish of their institutions.
    """

    upstreams: Mapping[str, UpstreamDescriptor]
    services: Mapping[str, ServiceDescriptor]
    completed_upstreams: Mapping[str, Upstream] = field(default_factory=dict)

    @property
    def current(self) -> "Metadata":
        """Return itself: metadata that does not change is read as ``LiveMetadata`` is."""
        return self

    def completed(self, upstream: Upstream) -> Upstream:
        """Return an upstream with its institutions as they are now."""
        return self.completed_upstreams.get(upstream.name, upstream)

    def upstream(self, entity_id: str, now: datetime) -> UpstreamDescriptor | None:
        """Return an upstream's descriptor, or None where there is none, or it has run out."""
        return _in_force(self.upstreams.get(entity_id), now)

    def service(self, entity_id: str, now: datetime) -> ServiceDescriptor | None:
        """Return a service's descriptor, or None where there is none, or it has run out."""
        return _in_force(self.services.get(entity_id), now)

    def encrypts(self, entity_id: str) -> bool:
        """Return whether this service publishes an encryption key.

        Without one no CPR leaves (docs/reference/design.md#invariant-4).
        """
        found = self.services.get(entity_id)
        return found is not None and found.encryption_certificate is not None

    def faults(self, now: datetime) -> Sequence[str]:
        """Name the descriptors that have run out since they were read; empty when none has."""
        descriptors: list[UpstreamDescriptor | ServiceDescriptor] = []
        descriptors += self.upstreams.values()
        descriptors += self.services.values()
        return [
            f"the metadata of {descriptor.entity_id} ran out"
            for descriptor in descriptors
            if descriptor.until and descriptor.until <= now
        ]


class Source(Protocol):
    """Where a face reads metadata: once for a message, which is held against one state of it."""

    @property
    def current(self) -> Metadata:
        """Return the metadata in force."""
        ...


class Lasting(Protocol):
    """Anything that may be used until some time, or for ever."""

    @property
    def until(self) -> datetime | None:
        """Return the end, if there is one."""
        ...


_Lasting = TypeVar("_Lasting", bound=Lasting)


def _in_force(found: _Lasting | None, now: datetime) -> _Lasting | None:
    """Refuse a descriptor that has run out (saml-metadata 2.3.1).

    Its keys may have been revoked since.
    """
    if found is None:
        return None
    if found.until and found.until <= now - SKEW:
        return None
    return found


@dataclass(frozen=True, slots=True)
class FoundElement:
    """An EntityDescriptor or a role in it, and where it stands.

    ``until`` is until when it and all around it may be used.
    """

    where: str
    element: etree._Element
    until: tuple[datetime, ...]


class RoleReader(Protocol[_DescriptorRead_co]):
    """Reads the descriptor of an entity from a role; None where it cannot be used."""

    def __call__(
        self,
        entity_id: str,
        element: etree._Element,
        until: datetime | None,
        faults: DescriptorFaults,
        /,
    ) -> _DescriptorRead_co | None:
        """Put all that keeps it from use into ``faults``."""
        ...


def load(
    folder: Path,
    upstreams: Collection[str],
    services: Collection[str],
    now: datetime,
    *,
    fed: bool = False,
) -> Metadata:
    """Read every ``*.xml`` of ``folder`` for the entityIDs named; other entities are left alone.

    ``ConfigurationFaults`` with everything wrong: a file that is no metadata, an entity without a
    descriptor or with two, one that has run out, lacks a usable endpoint or key. Signatures are not
    verified: whoever writes the folder also writes broker.toml. With ``fed``, an entity that has
    none may have one in a feed and is no fault. Sources: saml-metadata 2.3-2.4,
    docs/reference/saml-profiles.md#4 to #10.
    """
    faults: list[Fault] = []
    found: dict[str, list[FoundElement]] = {}
    paths = sorted(folder.glob("*.xml")) if folder.is_dir() else []
    if not paths and not fed:
        mend = "put the descriptors of upstreams and services there"
        faults.append(Fault(str(folder), "holds no metadata", mend))
    for path in paths:
        for entity in _entities(path, f"{folder.name}/{path.name}", faults):
            name = entity.element.get("entityID", "")
            found.setdefault(name, []).append(entity)
    idps = described(sorted(set(upstreams)), found, (IDP_ROLE, upstream), now, faults, fed=fed)
    sps = described(sorted(set(services)), found, (SP_ROLE, service), now, faults, fed=fed)
    if faults:
        raise ConfigurationFaults(faults)
    return Metadata(idps, sps)


def described(
    ids: Sequence[str],
    found: Mapping[str, list[FoundElement]],
    kind: tuple[str, RoleReader[_Descriptor]],
    now: datetime,
    faults: list[Fault],
    *,
    fed: bool,
) -> dict[str, _Descriptor]:
    """Read the one descriptor that every entity has in a role, by entityID.

    ``kind`` is the role's Clark name and its reader. All that keeps an entity from use is put into
    ``faults``; with ``fed`` an entity that is not found is none.
    """
    role, read = kind
    roles = {name: _only_role(name, found, role, faults, fed=fed) for name in ids}
    descriptors: dict[str, _Descriptor] = {}
    for name, element in roles.items():
        if element is None:
            continue
        descriptor = _described(name, element, read, now, faults)
        if descriptor is not None:
            descriptors[name] = descriptor
    return descriptors


def _entities(
    path: Path,
    where: str,
    faults: list[Fault],
) -> Iterator[FoundElement]:
    try:
        root = _parsed(path.read_bytes())
    except OSError as error:
        faults.append(Fault(where, f"cannot be read: {error.strerror}"))
        return
    except MessageRefused as refused:
        mend = _MENDS.get(refused.cause, "")
        faults.append(Fault(where, f"is no sound metadata: {refused.cause}", mend))
        return
    for element in entity_descriptors(root):
        around = [element, *element.iterancestors(ENTITIES)]
        yield FoundElement(where, element, tuple(_ends(around)))


def _ends(elements: Sequence[etree._Element]) -> Iterator[datetime]:
    """Yield the validUntil of the elements that have one."""
    for element in elements:
        end = xml_times.read(element.get("validUntil", ""))
        if end is not None:
            yield end


def _parsed(raw: bytes) -> etree._Element:
    raw = _HEADING.sub(rb"\1", raw, count=1)
    try:
        return safe_parser.parse(raw, ENTITY, BOUNDS)
    except MessageRefused as refused:
        if refused.cause != "gate.root":
            raise
        return safe_parser.parse(raw, ENTITIES, BOUNDS)


def _only_role(
    entity_id: str,
    found: Mapping[str, list[FoundElement]],
    role: str,
    faults: list[Fault],
    *,
    fed: bool,
) -> FoundElement | None:
    """Find the one descriptor of an entity in a role; with ``fed`` there may be none."""
    elements: list[FoundElement] = []
    for entity in found.get(entity_id, ()):
        roles = entity.element.findall(role)
        elements += [FoundElement(entity.where, element, entity.until) for element in roles]
    name = role.rpartition("}")[2]
    if len(elements) == 1:
        return elements[0]
    if elements:
        places = ", ".join(sorted({element.where for element in elements}))
        faults.append(Fault(places, f"{entity_id} has several {name}s", "keep one"))
    elif not fed:
        mend = "put its metadata into the folder"
        faults.append(Fault("metadata", f"no {name} of {entity_id}", mend))
    return None


def _described(
    entity_id: str,
    found: FoundElement,
    read: RoleReader[_Descriptor],
    now: datetime,
    faults: list[Fault],
) -> _Descriptor | None:
    """Read the descriptor found, and name its file in all that is wrong with it."""
    until = min((*found.until, *_ends([found.element])), default=None)
    if until and until <= now:
        what = f"{entity_id} ran out {xml_times.write(until)}"
        faults.append(Fault(found.where, what, "fetch it again"))
    descriptor_faults: DescriptorFaults = []
    descriptor = read(entity_id, found.element, until, descriptor_faults)
    for what, mend in descriptor_faults:
        faults.append(Fault(found.where, f"{entity_id} {what}", mend))
    return descriptor
