"""Reads the metadata folder. A broken file affects only the parties in it.

The size of a file is limited. Its entities are rewritten (``descriptor_rewriting``) and checked as
strictly as those of a feed. Signatures are not verified: the administrator who writes the folder
also writes broker.toml.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar
from xml.sax.saxutils import unescape

from lxml import etree

from broker.adapters.saml.feeds.aggregates import entity_descriptors, read_ends
from broker.adapters.saml.feeds.feed_copies import Stamp, read_stamp
from broker.adapters.saml.metadata import entity_roles
from broker.adapters.saml.metadata.entity_roles import FoundEntity, FoundRole, PublishedScopes
from broker.adapters.saml.metadata.role_descriptors import (
    PeerDescriptor,
    ServiceDescriptor,
    UpstreamDescriptor,
)
from broker.adapters.saml.metadata.wanted_entities import WantedIds
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
from broker.core.entities import Upstream
from broker.core.errors import Fault, MessageRefused
from broker.core.login.transaction import SKEW

# A hub's own metadata lists hundreds of scopes and logos. A larger file should be a feed.
BOUNDS: Final = Bounds(
    octets=16 * 1024 * 1024, depth=40, nodes=1_000_000, attributes=1_000_000, namespaces=100_000
)
_ENTITY_ID: Final = re.compile(rb"""\sentityID\s*=\s*["']([^"'<]*)""")
_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_OCTETS: Final = {name: OCTETS[name] for name in ("size", "nul", "doctype", "namespaces")}
_TREE: Final = {name: TREE[name] for name in ("nodes", "attributes", "depth", "scope")}
_Expiring = TypeVar("_Expiring", bound=PeerDescriptor | PublishedScopes)
_Descriptor = TypeVar("_Descriptor")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of peers, by entityID.

    ``completed_upstreams`` are the configured upstreams by name, with the published scopes and
    names of their institutions.
    """

    upstreams: Mapping[str, UpstreamDescriptor]
    services: Mapping[str, ServiceDescriptor]
    completed_upstreams: Mapping[str, Upstream] = field(default_factory=dict)

    @property
    def current(self) -> "Metadata":
        """Return itself, so that fixed metadata can replace ``LiveMetadata``."""
        return self

    def complete(self, upstream: Upstream) -> Upstream:
        """Return an upstream with the published scopes and names of its institutions."""
        return self.completed_upstreams.get(upstream.name, upstream)

    def upstream(self, entity_id: str, now: datetime) -> UpstreamDescriptor | None:
        """Return an upstream's descriptor, None if there is none or it has expired."""
        return drop_expired(self.upstreams.get(entity_id), now)

    def service(self, entity_id: str, now: datetime) -> ServiceDescriptor | None:
        """Return a service's descriptor, None if there is none or it has expired."""
        return drop_expired(self.services.get(entity_id), now)


class Source(Protocol):
    """The source of metadata; a role reads ``current`` once for each message."""

    @property
    def current(self) -> Metadata:
        """Return the metadata in force."""
        ...


def drop_expired(found: _Expiring | None, now: datetime) -> _Expiring | None:
    """Return None for expired metadata (saml-metadata 2.3.1): its keys may be revoked."""
    if found is None:
        return None
    if found.until and found.until <= now - SKEW:
        return None
    return found


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A version of a file, with the wanted entities that it contains, by entityID.

    ``fault`` says why the file is unreadable. Then ``described`` are the entities that its text
    seems to describe, or that its earlier version contained.
    """

    stamp: Stamp | None = None
    entities: Mapping[str, Sequence[FoundEntity]] = field(default_factory=dict)
    fault: Fault | None = None
    described: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Return all entityIDs in the file, or in its earlier version if it broke."""
        return self.described | self.entities.keys()


def read_file(
    path: Path, where: str, stamp: Stamp, wanted: WantedIds, earlier: frozenset[str] = frozenset()
) -> FolderFile:
    """Read a file. Faults are in the result, not raised.

    ``where`` is its name in sentences. ``earlier`` are the entities of its earlier version.
    """
    raw = b""
    try:
        raw = durable_files.read_bytes(path, BOUNDS.octets + 1)
        root = _parse(_decode_utf8(raw))
    except OSError as error:
        fault = Fault(where, f"cannot be read: {error.strerror}")
        return FolderFile(stamp, fault=fault, described=earlier)
    except MessageRefused as refused:
        named = _list_described(raw) & wanted.all_ids
        fault = entity_roles.explain_refusal(where, refused)
        return FolderFile(stamp, fault=fault, described=earlier | named)
    known = wanted.all_ids
    found: dict[str, list[FoundEntity]] = {}
    for entity in entity_descriptors(root):
        name = entity.get("entityID", "")
        # Two entities of one name are reported as a fault, so a third one does not matter.
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

    Raises MessageRefused with ``xml.size``, or with ``xml.encoding`` for any other encoding.
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
    """Parse a file without comments and processing instructions.

    ``descriptor_rewriting.rewrite`` applies all XML checks to each entity afterwards. Raises
    MessageRefused (``xml.*``).
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


@dataclass(frozen=True, slots=True)
class FolderContents:
    """The content of a metadata folder, as far as it concerns the configured entities.

    ``faults`` says, by entityID, why a party has no usable descriptor now; perhaps an earlier one
    stays in force. ``broken`` are the faults of unreadable files. ``places`` is the file of each
    descriptor, ``scopes`` the published scopes of identity providers.
    """

    metadata: Metadata = field(default_factory=lambda: Metadata({}, {}))
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    broken: tuple[Fault, ...] = ()
    notices: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, PublishedScopes] = field(default_factory=dict)
    files: Mapping[Path, FolderFile] = field(default_factory=dict, repr=False)
    wanted: WantedIds = field(default_factory=WantedIds, repr=False)


def read(folder: Path, wanted: WantedIds, earlier: FolderContents | None = None) -> FolderContents:
    """Read the wanted entities in every ``*.xml`` of ``folder``.

    Faults are in the result, with file, element and line. Files that have not changed since
    ``earlier`` are not read again. If an edit broke the metadata of a party, its descriptor in
    ``earlier`` stays in force until it expires. Sources: saml-metadata 2.3-2.4,
    docs/reference/saml-profiles.md#4 to #10.
    """
    known = earlier or FolderContents()
    files: dict[Path, FolderFile] = {}
    for path, stamp in read_stamps(folder).items():
        old = known.files.get(path, FolderFile())
        if old.stamp == stamp and known.wanted == wanted:
            files[path] = old
        else:
            where = f"{folder.name}/{path.name}"
            files[path] = read_file(path, where, stamp, wanted, old.names)
    return _join_files(files, wanted, known)


def read_stamps(folder: Path) -> dict[Path, Stamp]:
    """Return the files of the folder, each with a stamp that is different if the file changes."""
    stamps = {path: read_stamp(path) for path in sorted(folder.glob("*.xml"))}
    return {path: stamp for path, stamp in stamps.items() if stamp}


def _join_files(
    files: Mapping[Path, FolderFile], wanted: WantedIds, earlier: FolderContents
) -> FolderContents:
    read = list(files.values())
    broken = [file.fault for file in read if file.fault]
    described: dict[str, Fault] = {}
    for file in read:
        if file.fault:
            described |= dict.fromkeys(file.described, file.fault)
    idps = _list_roles(read, wanted.upstreams, lambda entity: entity.upstream)
    sps = _list_roles(read, wanted.services, lambda entity: entity.service)
    scopes = _list_roles(read, wanted.institutions, lambda entity: entity.scopes)
    broken += _drop_feed_upstreams_beside_services(idps, sps, wanted.feed_upstreams)
    parties = _DescriptorChooser(described)
    upstreams = parties.choose(idps, earlier.metadata.upstreams)
    services = parties.choose(sps, earlier.metadata.services)
    institutions = _DescriptorChooser(described)
    chosen_scopes = institutions.choose(scopes, earlier.scopes)
    disputed = [name for name in institutions.faults if scopes[name]]
    return FolderContents(
        metadata=Metadata(upstreams, services),
        faults=parties.faults,
        broken=tuple(broken),
        notices=(*parties.notices, *map(_describe_disputed_scopes, disputed)),
        places=parties.places,
        scopes=chosen_scopes,
        files=files,
        wanted=wanted,
    )


_Listed = dict[str, list[FoundRole[_Descriptor]]]


def _list_roles(
    files: Sequence[FolderFile],
    ids: Collection[str],
    pick: Callable[[FoundEntity], FoundRole[_Descriptor] | None],
) -> _Listed[_Descriptor]:
    """Return the roles of one kind in all files, for each of the entities ``ids``."""
    listed: _Listed[_Descriptor] = {name: [] for name in sorted(ids)}
    for file in files:
        for name in file.entities.keys() & ids:
            listed[name] += filter(None, map(pick, file.entities[name]))
    return listed


def _drop_feed_upstreams_beside_services(
    idps: _Listed[UpstreamDescriptor],
    sps: _Listed[ServiceDescriptor],
    feed_upstreams: Collection[str],
) -> Iterator[Fault]:
    """Remove each upstream of a feed that shares a file with a service, and yield a fault for it.

    Otherwise the sender of a service's metadata could replace the keys of the hub.
    """
    services: dict[str, str] = {}  # the first of each file
    for name, roles in sps.items():
        own_files = [idp.where for idp in idps.get(name, ())]
        for role in roles:
            if role.where not in own_files:
                services.setdefault(role.where, name)
    for name in sorted(feed_upstreams):
        for where in [role.where for role in idps[name] if role.where in services]:
            what = (
                f"holds {name}, which a feed publishes, together with the service {services[where]}"
            )
            yield Fault(where, what, "it is not used: put it into a file of its own")
        idps[name] = [role for role in idps[name] if role.where not in services]


def _describe_disputed_scopes(name: str) -> str:
    several = "publishes its scopes in several places, or in one that cannot be used"
    return f"{name} {several}: keep one valid entity of it in the folder"


class _DescriptorChooser:
    """Chooses the descriptor of each entity, and collects faults, notices and the files."""

    def __init__(self, described: Mapping[str, Fault]) -> None:
        self._described = described
        self.faults: dict[str, tuple[Fault, ...]] = {}
        self.notices: list[str] = []
        self.places: dict[str, str] = {}

    def choose(
        self, listed: _Listed[_Descriptor], earlier: Mapping[str, _Descriptor]
    ) -> dict[str, _Descriptor]:
        """Return the descriptors by entityID; a faulty entity keeps its earlier descriptor.

        If an entity has two descriptors, neither is used, because one may be an attacker's.
        """
        chosen: dict[str, _Descriptor] = {}
        for name, roles in listed.items():
            for role in roles:
                self.notices += role.notices
                self.places[name] = role.where
            found = [role.descriptor for role in roles]
            faults = _find_faults(name, roles, self._described)
            if faults:
                self.faults[name] = self.faults.get(name, ()) + faults
                found = [earlier.get(name)]
            for descriptor in found:
                if descriptor is not None:
                    chosen[name] = descriptor
        return chosen


def _find_faults(
    name: str, roles: Sequence[FoundRole[_Descriptor]], described: Mapping[str, Fault]
) -> tuple[Fault, ...]:
    """Return why an entity has no usable descriptor; nothing if no file contains it."""
    if len(roles) > 1:
        places = ", ".join(sorted({role.where for role in roles}))
        return (Fault(places, f"{name} has several descriptors", "keep one"),)
    if roles:
        return roles[0].faults
    if name in described:
        return (described[name],)
    return ()


class MetadataFolder:
    """A metadata folder and its content when it was last read."""

    def __init__(self, path: Path, wanted: WantedIds, earlier: FolderContents | None) -> None:
        """Read the folder; ``earlier`` is the content that this process read earlier."""
        self._path = path
        self._wanted = wanted
        self._last_stamps: Mapping[Path, Stamp] | None = None
        self.contents = read(path, wanted, earlier)

    def read_changes(self) -> bool:
        """Read the files that have changed; return whether there were any.

        A changed file is read only if two calls in a row found the same stamps. So a file that is
        still being copied is not read.
        """
        stamps = read_stamps(self._path)
        read_before = {path: file.stamp for path, file in self.contents.files.items()}
        is_settled = stamps == self._last_stamps
        self._last_stamps = stamps
        if not is_settled or stamps == read_before:
            return False
        self.contents = read(self._path, self._wanted, self.contents)
        return True
