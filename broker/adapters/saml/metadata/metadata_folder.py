"""The only reader of metadata/: the descriptor of each upstream and service in use, whole, or every fault at once."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from lxml import etree

from broker.adapters.saml.gate import safe_parser, xml_times
from broker.adapters.saml.gate.xml_names import ENTITIES, ENTITY
from broker.adapters.saml.metadata.entity_descriptors import entity_descriptors
from broker.adapters.saml.metadata.role_descriptors import (
    IDP_ROLE,
    SP_ROLE,
    DescriptorFaults,
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
    octets=16 * 1024 * 1024, depth=40, nodes=1_000_000, attributes=1_000_000, namespaces=100_000
)
# What a tool says of the file it made, mod_shib for one (interop.md). No reader looks before the
# root element, so that this cuts no text in two; a comment anywhere else is refused.
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


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the peers say of themselves, by entityID; files in the folder are trusted as configuration is.

    ``parties`` are the upstreams, by name, completed by what feeds say of their institutions.
    """

    upstreams: Mapping[str, UpstreamDescriptor]
    services: Mapping[str, ServiceDescriptor]
    parties: Mapping[str, Upstream] = field(default_factory=dict)

    @property
    def current(self) -> "Metadata":
        """Give itself: metadata that does not change is read as ``LiveMetadata`` is."""
        return self

    def party(self, upstream: Upstream) -> Upstream:
        """Give an upstream with its institutions as they are now."""
        return self.parties.get(upstream.name, upstream)

    def upstream(self, entity_id: str, now: datetime) -> UpstreamDescriptor | None:
        """Give an upstream's descriptor, or None where there is none any more, or it has run out."""
        return _lasting(self.upstreams.get(entity_id), now)

    def service(self, entity_id: str, now: datetime) -> ServiceDescriptor | None:
        """Give a service's descriptor, or None where there is none any more, or it has run out."""
        return _lasting(self.services.get(entity_id), now)

    def encrypts(self, entity_id: str) -> bool:
        """Say whether this service publishes an encryption key; without one no CPR leaves (invariant 4)."""
        found = self.services.get(entity_id)
        return found is not None and found.encryption is not None

    def faults(self, now: datetime) -> Sequence[str]:
        """Say which descriptors have run out since they were read; empty when none has."""
        every: list[UpstreamDescriptor | ServiceDescriptor] = [
            *self.upstreams.values(),
            *self.services.values(),
        ]
        return [
            f"the metadata of {each.entity_id} ran out"
            for each in every
            if each.until and each.until <= now
        ]


class Source(Protocol):
    """Where a face reads metadata: once for each message, so that it is held against one state of it."""

    @property
    def current(self) -> Metadata:
        """Give the metadata in force."""
        ...


class Lasting(Protocol):
    """Anything that may be used until some time, or for ever."""

    @property
    def until(self) -> datetime | None:
        """Give the end, if there is one."""
        ...


_Lasting = TypeVar("_Lasting", bound=Lasting)


def _lasting(found: _Lasting | None, now: datetime) -> _Lasting | None:
    """Refuse what has run out: its keys may have been given up since (saml-metadata 2.3.1)."""
    return None if found is None or (found.until and found.until <= now - SKEW) else found


@dataclass(frozen=True, slots=True)
class Found:
    """An EntityDescriptor or a role in it, the file it stands in, and until when it and all around it may be used."""

    where: str
    element: etree._Element
    until: tuple[datetime, ...]


def load(
    folder: Path,
    upstreams: Collection[str],
    services: Collection[str],
    now: datetime,
    *,
    fed: bool = False,
) -> Metadata:
    """Read every ``*.xml`` of ``folder`` for the entityIDs named; other entities in the files are left alone.

    ``ConfigurationFaults`` with everything wrong: a file that is no metadata, an entity without a
    descriptor or with two, one that has run out, lacks a usable endpoint or key. Signatures are not
    verified: whoever writes the folder also writes broker.toml. With ``fed``, an entity that has
    none may have one in a feed and is no fault. Sources: saml-metadata 2.3-2.4, saml_profiles.md
    rows 4-10.
    """
    faults: list[Fault] = []
    found: dict[str, list[Found]] = {}
    paths = sorted(folder.glob("*.xml")) if folder.is_dir() else []
    if not paths and not fed:
        faults.append(
            Fault(
                str(folder),
                "holds no metadata",
                "put the descriptors of upstreams and services there",
            )
        )
    for path in paths:
        for each in _entities(path, f"{folder.name}/{path.name}", faults):
            found.setdefault(each.element.get("entityID", ""), []).append(each)
    idps = described(sorted(set(upstreams)), found, (IDP_ROLE, upstream), now, faults, fed=fed)
    sps = described(sorted(set(services)), found, (SP_ROLE, service), now, faults, fed=fed)
    if faults:
        raise ConfigurationFaults(faults)
    return Metadata(idps, sps)


def described(
    ids: Sequence[str],
    found: Mapping[str, list[Found]],
    kind: tuple[
        str, Callable[[str, etree._Element, datetime | None, DescriptorFaults], _Descriptor | None]
    ],
    now: datetime,
    faults: list[Fault],
    *,
    fed: bool,
) -> dict[str, _Descriptor]:
    """Read the one descriptor that each entity found has in a role, and tell what keeps others from use."""
    role, read = kind
    one = {each: _one(each, found, role, faults, fed=fed) for each in ids}
    read_ones = {name: _role(name, each, read, now, faults) for name, each in one.items()}
    return {name: each for name, each in read_ones.items() if each}


def _entities(path: Path, where: str, faults: list[Fault]) -> Iterator[Found]:
    try:
        root = _parsed(path.read_bytes())
    except OSError as error:
        faults.append(Fault(where, f"cannot be read: {error.strerror}"))
        return
    except MessageRefused as refused:
        faults.append(
            Fault(where, f"is no sound metadata: {refused.cause}", _MENDS.get(refused.cause, ""))
        )
        return
    for element in entity_descriptors(root):
        around = [element, *element.iterancestors(ENTITIES)]
        ends = [
            xml_times.read(each.get("validUntil", "")) for each in around if each.get("validUntil")
        ]
        yield Found(where, element, tuple(end for end in ends if end))


def _parsed(raw: bytes) -> etree._Element:
    raw = _HEADING.sub(rb"\1", raw, count=1)
    try:
        return safe_parser.parse(raw, ENTITY, BOUNDS)
    except MessageRefused as refused:
        if refused.cause != "gate.root":
            raise
        return safe_parser.parse(raw, ENTITIES, BOUNDS)


def _one(
    entity_id: str, found: Mapping[str, list[Found]], role: str, faults: list[Fault], *, fed: bool
) -> Found | None:
    """Find the one descriptor of an entity in a role; with ``fed`` there may be none."""
    elements = [
        Found(each.where, part, each.until)
        for each in found.get(entity_id, ())
        for part in each.element.findall(role)
    ]
    name = role.rpartition("}")[2]
    if not elements and not fed:
        faults.append(
            Fault("metadata", f"no {name} of {entity_id}", "put its metadata into the folder")
        )
    elif len(elements) > 1:
        places = ", ".join(sorted({each.where for each in elements}))
        faults.append(Fault(places, f"{entity_id} has several {name}s", "keep one"))
    return elements[0] if len(elements) == 1 else None


def _role(
    entity_id: str,
    found: Found | None,
    read: Callable[[str, etree._Element, datetime | None, DescriptorFaults], _Descriptor | None],
    now: datetime,
    faults: list[Fault],
) -> _Descriptor | None:
    """Read the descriptor found, and tell where it stands whatever is wrong with it."""
    if found is None:
        return None
    own = xml_times.read(found.element.get("validUntil", ""))
    until = min((*found.until, *((own,) if own else ())), default=None)
    if until and until <= now:
        faults.append(
            Fault(found.where, f"{entity_id} ran out {xml_times.write(until)}", "fetch it again")
        )
    told: DescriptorFaults = []
    descriptor = read(entity_id, found.element, until, told)
    faults.extend(Fault(found.where, f"{entity_id} {what}", mend) for what, mend in told)
    return descriptor
