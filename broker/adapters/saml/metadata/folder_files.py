"""Reads one file of the metadata folder: bounded, rewritten, and checked as strictly as a feed."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar
from xml.sax.saxutils import unescape

from lxml import etree

from broker.adapters.saml.feeds.aggregates import entity_descriptors
from broker.adapters.saml.metadata import entity_roles
from broker.adapters.saml.metadata.descriptor_rewriting import rewrite
from broker.adapters.saml.metadata.entity_roles import FoundRole
from broker.adapters.saml.metadata.role_descriptors import (
    IDP_ROLE,
    ServiceDescriptor,
    UpstreamDescriptor,
)
from broker.adapters.saml.xml_security import xml_structure_checks
from broker.adapters.saml.xml_security.xml_names import ENTITIES, ENTITY
from broker.adapters.saml.xml_security.xml_structure_checks import Bounds, MessageTree, Octets
from broker.core.errors import Fault, MessageRefused

# A hub's own metadata lists hundreds of scopes and logos. A larger file should be a feed.
BOUNDS: Final = Bounds(
    octets=16 * 1024 * 1024, depth=40, nodes=1_000_000, attributes=1_000_000, namespaces=100_000
)
_ENTITY_ID: Final = re.compile(rb"""\sentityID\s*=\s*["']([^"'<]*)""")
_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_OCTETS: Final = ("size", "nul", "doctype", "namespaces")
_TREE: Final = ("nodes", "attributes", "depth", "scope")
_FIXES: Final = {
    "xml.doctype": "take the DOCTYPE out",
    "xml.schema": "validate it against saml-schema-metadata-2.0.xsd",
    "xml.size": "keep only the entities you need",
    "xml.encoding": "save it as UTF-8",
    "xml.unreadable": "is it XML, whole, in UTF-8 or UTF-16?",
}

Stamp = tuple[int, int, int]
_Descriptor = TypeVar("_Descriptor")


@dataclass(frozen=True, slots=True)
class WantedIds:
    """The entityIDs to read: of upstreams, of services, and of institutions (for scopes).

    ``fed`` is the upstreams whose metadata a feed publishes.
    """

    upstreams: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    institutions: frozenset[str] = frozenset()
    fed: frozenset[str] = frozenset()

    @property
    def parties(self) -> frozenset[str]:
        """Return the entityIDs of upstreams and services."""
        return self.upstreams | self.services


@dataclass(frozen=True, slots=True)
class FoundScopes:
    """The published scopes of an identity provider, and when they expire.

    ``sole`` is False if the file has the entity twice, or it cannot be used.
    """

    scopes: tuple[str, ...]
    until: datetime | None = None
    sole: bool = True


@dataclass(frozen=True, slots=True)
class FolderFile:
    """One version of a file: the descriptors of wanted entities in it, by entityID.

    ``fault`` says why the file is unreadable; ``mentioned`` is then the entities that its text
    describes, or that its earlier version contained. ``others`` is the entities not wanted.
    """

    stamp: Stamp | None = None
    upstreams: Mapping[str, FoundRole[UpstreamDescriptor]] = field(default_factory=dict)
    services: Mapping[str, FoundRole[ServiceDescriptor]] = field(default_factory=dict)
    scopes: Mapping[str, FoundScopes] = field(default_factory=dict)
    fault: Fault | None = None
    mentioned: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Return all entityIDs in the file, or in its earlier version if it broke."""
        parties = self.upstreams.keys() | self.services.keys()
        return self.mentioned | parties | self.scopes.keys()

    def find_smuggled(self, fed: frozenset[str]) -> Mapping[str, Fault]:
        """Return a fault for each upstream of a feed that is in one file with a service.

        Otherwise the sender of a service's metadata could replace the keys of the hub.
        """
        services = sorted(self.services.keys() - self.upstreams.keys())
        found = {}
        for name, role in self.upstreams.items() if services else ():
            if name in fed:
                what = (
                    f"holds {name}, which a feed publishes, together with the service {services[0]}"
                )
                fix = "it is not used: put it into a file of its own"
                found[name] = Fault(role.where, what, fix)
        return found


def read_file(
    path: Path, where: str, stamp: Stamp, wanted: WantedIds, before: frozenset[str] = frozenset()
) -> FolderFile:
    """Read a file; messages call it ``where``, and its last version contained ``before``.

    Faults of the file are in the result.
    """
    raw = b""
    try:
        with path.open("rb") as file:
            raw = file.read(BOUNDS.octets + 1)
        root = _parse(_decode_utf8(raw))
    except OSError as error:
        fault = Fault(where, f"cannot be read: {error.strerror}")
        return FolderFile(stamp, fault=fault, mentioned=before)
    except MessageRefused as refused:
        named = _list_described(raw) & (wanted.parties | wanted.institutions)
        return FolderFile(stamp, fault=_make_fault(where, refused), mentioned=before | named)
    reading = _Reading(where, wanted)
    for entity in entity_descriptors(root):
        reading.add(entity)
    return FolderFile(
        stamp, reading.upstreams, reading.services, reading.scopes, others=frozenset(reading.others)
    )


class _Reading:
    """The findings in one file while it is read."""

    def __init__(self, where: str, wanted: WantedIds) -> None:
        self.where = where
        self.wanted = wanted
        self.known = wanted.parties | wanted.institutions
        self.met: Counter[str] = Counter()
        self.upstreams: dict[str, FoundRole[UpstreamDescriptor]] = {}
        self.services: dict[str, FoundRole[ServiceDescriptor]] = {}
        self.scopes: dict[str, FoundScopes] = {}
        self.others: set[str] = set()

    def add(self, entity: etree._Element) -> None:
        """Add an entity if it is wanted."""
        name = entity.get("entityID", "")
        wanted = self.wanted
        if name not in self.known:
            self.others.add(name)
            return
        if self.met[name] > 1:  # a duplicate is reported already
            return
        self.met[name] += 1
        try:
            element = rewrite(entity)
        except MessageRefused as refused:
            self._refuse(name, _make_fault(self.where, refused, name))
            return
        until = list(_list_ends(entity))
        if name in wanted.upstreams:
            for idp in entity_roles.read_upstream_roles(self.where, element, until):
                self.upstreams[name] = self._merge(self.upstreams.get(name), idp, name)
        if name in wanted.services:
            for sp in entity_roles.read_service_roles(self.where, element, until):
                self.services[name] = self._merge(self.services.get(name), sp, name)
        if name in wanted.institutions and element.find(IDP_ROLE) is not None:
            self._add_scopes(name, element, until)

    def _add_scopes(self, name: str, element: etree._Element, until: Sequence[datetime]) -> None:
        scopes = entity_roles.read_scopes(element)
        sole = scopes is not None and name not in self.scopes
        self.scopes[name] = FoundScopes(scopes or (), min(until, default=None), sole)

    def _refuse(self, name: str, fault: Fault) -> None:
        if name in self.wanted.upstreams:
            self.upstreams[name] = FoundRole(self.where, None, (fault,))
        if name in self.wanted.services:
            self.services[name] = FoundRole(self.where, None, (fault,))
        if name in self.wanted.institutions:
            self.scopes[name] = FoundScopes((), sole=False)

    def _merge(
        self, before: FoundRole[_Descriptor] | None, found: FoundRole[_Descriptor], name: str
    ) -> FoundRole[_Descriptor]:
        """Return the role of an entity; a second one in the file makes both faulty."""
        if before is None:
            return found
        fault = Fault(self.where, f"{name} has several descriptors", "keep one")
        return FoundRole(self.where, None, (fault,))


def _list_ends(entity: etree._Element) -> Iterator[datetime]:
    """Yield the ends of an entity and of all collections around it."""
    return entity_roles.read_ends([entity, *entity.iterancestors(ENTITIES)])


def _list_described(raw: bytes) -> frozenset[str]:
    """Return the entityIDs that an unreadable file describes, in any encoding.

    Other names in it do not count: a service's file may mention the hub.
    """
    found = _ENTITY_ID.findall(raw.replace(b"\0", b""))
    return frozenset(unescape(name.decode("utf-8", "replace")) for name in found)


def _make_fault(where: str, refused: MessageRefused, entity_id: str = "") -> Fault:
    of_what = f"{entity_id} " if entity_id else ""
    fix = _FIXES.get(refused.cause, "")
    return Fault(where, f"{of_what}is no sound metadata: {refused}", fix)


def _decode_utf8(raw: bytes) -> bytes:
    """Return the octets in UTF-8, without byte order mark; .NET products write UTF-16.

    ``MessageRefused``: ``xml.size``, ``xml.encoding`` for other encodings.
    """
    if len(raw) > BOUNDS.octets:
        raise MessageRefused("xml.size")
    encoding = "utf-8-sig"
    for mark, name in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            raw = raw.removeprefix(mark)
            encoding = name
    try:
        return raw.decode(encoding).encode("utf-8")
    except UnicodeDecodeError:
        raise MessageRefused("xml.encoding") from None


def _parse(octets: bytes) -> etree._Element:
    """Parse a file without comments and processing instructions; ``MessageRefused`` (``xml.*``).

    ``rewrite`` applies all XML checks to each entity afterwards.
    """
    message = Octets(octets, BOUNDS)
    for name in _OCTETS:
        if xml_structure_checks.OCTETS[name](message):
            raise MessageRefused(f"xml.{name}")
    parser = etree.XMLParser(
        encoding="utf-8",  # overrides the declaration: the file is decoded already
        no_network=True,
        load_dtd=False,
        resolve_entities=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(octets, parser)
    except etree.XMLSyntaxError as error:
        line, _ = error.position
        raise MessageRefused("xml.unreadable", f"line {line}") from None
    if root.tag not in {ENTITY, ENTITIES}:
        raise MessageRefused("xml.root")
    tree = MessageTree(root, str(root.tag), BOUNDS)
    for name in _TREE:
        if xml_structure_checks.TREE[name](tree):
            raise MessageRefused(f"xml.{name}")
    return root
