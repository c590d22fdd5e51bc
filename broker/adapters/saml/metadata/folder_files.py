"""Reads one file of the metadata folder: bounded, rewritten, and checked as strictly as a feed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.sax.saxutils import unescape

from lxml import etree

from broker.adapters.saml.feeds.aggregates import entity_descriptors, read_ends
from broker.adapters.saml.feeds.feed_copies import Stamp
from broker.adapters.saml.metadata import entity_roles
from broker.adapters.saml.metadata.entity_roles import FoundEntity
from broker.adapters.saml.xml_security.canonical_form import build_parser
from broker.adapters.saml.xml_security.xml_names import ENTITIES, ENTITY
from broker.adapters.saml.xml_security.xml_structure_checks import (
    OCTETS,
    TREE,
    Bounds,
    MessageTree,
    Octets,
    apply_checks,
)
from broker.configuration import durable_files
from broker.core.errors import Fault, MessageRefused

# A hub's own metadata lists hundreds of scopes and logos. A larger file should be a feed.
BOUNDS: Final = Bounds(
    octets=16 * 1024 * 1024, depth=40, nodes=1_000_000, attributes=1_000_000, namespaces=100_000
)
_ENTITY_ID: Final = re.compile(rb"""\sentityID\s*=\s*["']([^"'<]*)""")
_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_OCTETS: Final = {name: OCTETS[name] for name in ("size", "nul", "doctype", "namespaces")}
_TREE: Final = {name: TREE[name] for name in ("nodes", "attributes", "depth", "scope")}


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
    def every(self) -> frozenset[str]:
        """Return all entityIDs."""
        return self.upstreams | self.services | self.institutions


@dataclass(frozen=True, slots=True)
class FolderFile:
    """One version of a file: what it says of each wanted entity, by entityID.

    ``fault`` says why the file is unreadable; ``mentioned`` is then the entities that its text
    describes, or that its earlier version contained.
    """

    stamp: Stamp | None = None
    entities: Mapping[str, Sequence[FoundEntity]] = field(default_factory=dict)
    fault: Fault | None = None
    mentioned: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Return all entityIDs in the file, or in its earlier version if it broke."""
        return self.mentioned | self.entities.keys()


def read_file(
    path: Path, where: str, stamp: Stamp, wanted: WantedIds, before: frozenset[str] = frozenset()
) -> FolderFile:
    """Read a file; messages call it ``where``, and its last version contained ``before``.

    Faults of the file are in the result.
    """
    raw = b""
    try:
        raw = durable_files.read_bytes(path, BOUNDS.octets + 1)
        root = _parse(_decode_utf8(raw))
    except OSError as error:
        fault = Fault(where, f"cannot be read: {error.strerror}")
        return FolderFile(stamp, fault=fault, mentioned=before)
    except MessageRefused as refused:
        named = _list_described(raw) & wanted.every
        fault = entity_roles.explain_refusal(where, refused)
        return FolderFile(stamp, fault=fault, mentioned=before | named)
    known = wanted.every
    found: dict[str, list[FoundEntity]] = {}
    for entity in entity_descriptors(root):
        name = entity.get("entityID", "")
        # Two of a name are reported; more of them add nothing.
        if name in known and len(found.setdefault(name, [])) < 2:
            found[name].append(entity_roles.read_entity(where, entity, read_ends(entity)))
    return FolderFile(stamp, found)


def _list_described(raw: bytes) -> frozenset[str]:
    """Return the entityIDs that an unreadable file describes, in any encoding.

    Other names in it do not count: a service's file may mention the hub.
    """
    found = _ENTITY_ID.findall(raw.replace(b"\0", b""))
    return frozenset(unescape(name.decode("utf-8", "replace")) for name in found)


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
    apply_checks(_OCTETS, message)
    try:
        # The parser overrides the declaration of the encoding: the file is decoded already.
        root = etree.fromstring(octets, build_parser(keeps_comments=False))
    except etree.XMLSyntaxError as error:
        line, _ = error.position
        raise MessageRefused("xml.unreadable", f"line {line}") from None
    if root.tag not in {ENTITY, ENTITIES}:
        raise MessageRefused("xml.root")
    tree = MessageTree(root, str(root.tag), BOUNDS)
    apply_checks(_TREE, tree)
    return root
