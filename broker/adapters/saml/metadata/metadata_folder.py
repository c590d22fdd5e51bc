"""Reads the metadata folder. A broken file affects only the parties in it.

Signatures are not verified: the administrator who writes the folder also writes broker.toml.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from broker.adapters.saml.metadata.entity_roles import FoundRole
from broker.adapters.saml.metadata.folder_files import (
    FolderFile,
    FoundScopes,
    Stamp,
    WantedIds,
    read_file,
)
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor, UpstreamDescriptor
from broker.core.entities import Upstream
from broker.core.errors import Fault
from broker.core.login.transaction import SKEW


class Lasting(Protocol):
    """Anything with an optional expiry date."""

    @property
    def until(self) -> datetime | None:
        """Return the expiry date, if there is one."""
        ...


_Lasting = TypeVar("_Lasting", bound=Lasting)
_Descriptor = TypeVar("_Descriptor")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of peers, by entityID.

    ``completed_upstreams`` is the configured upstreams by name, with the published scopes and names
    of their institutions.
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


def drop_expired(found: _Lasting | None, now: datetime) -> _Lasting | None:
    """Return None for expired metadata (saml-metadata 2.3.1): its keys may be revoked."""
    if found is None:
        return None
    if found.until and found.until <= now - SKEW:
        return None
    return found


@dataclass(frozen=True, slots=True)
class FolderContents:
    """The content of a metadata folder, as far as it concerns the configured entities.

    ``faults`` is by entityID: of parties without usable descriptor, or with an earlier one in
    force. ``broken`` is the faults of unreadable files. ``places`` is the file of each descriptor,
    ``scopes`` the published scopes of identity providers.
    """

    metadata: Metadata = field(default_factory=lambda: Metadata({}, {}))
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    broken: tuple[Fault, ...] = ()
    notices: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, FoundScopes] = field(default_factory=dict)
    files: Mapping[Path, FolderFile] = field(default_factory=dict, repr=False)
    wanted: WantedIds = field(default_factory=WantedIds, repr=False)


def read(folder: Path, wanted: WantedIds, before: FolderContents | None = None) -> FolderContents:
    """Read the wanted entities in every ``*.xml`` of ``folder``.

    Faults are in the result, with file, element and line. Files that have not changed since
    ``before`` are not read again. If an edit broke the metadata of a party, its descriptor in
    ``before`` stays in force until it expires. Sources: saml-metadata 2.3-2.4,
    docs/reference/saml-profiles.md#4 to #10.
    """
    known = before or FolderContents()
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
    """Return the files of the folder, each with a stamp that changes with the file."""
    found: dict[Path, Stamp] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.glob("*.xml")):
        try:
            stat = path.stat()
        except OSError:
            continue  # it was removed meanwhile
        found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def _join_files(
    files: Mapping[Path, FolderFile], wanted: WantedIds, before: FolderContents
) -> FolderContents:
    read = list(files.values())
    good = before.metadata
    faults: dict[str, tuple[Fault, ...]] = {}
    broken = [file.fault for file in read if file.fault]
    mentioned = _find_mentioned(read)
    found = []
    for file in read:
        smuggled = file.find_smuggled(wanted.fed)
        broken += smuggled.values()
        found.append({name: idp for name, idp in file.upstreams.items() if name not in smuggled})
    idps = _Parties(found, wanted.upstreams)
    upstreams = idps.choose_descriptors(mentioned, good.upstreams, faults)
    sps = _Parties([file.services for file in read], wanted.services)
    services = sps.choose_descriptors(mentioned, good.services, faults)
    return FolderContents(
        metadata=Metadata(upstreams, services),
        faults=faults,
        broken=tuple(broken),
        notices=(*idps.notices(), *sps.notices(), *_describe_disputed_scopes(files.values())),
        places={**idps.places(), **sps.places()},
        scopes=dict(_join_scopes(files.values(), mentioned, before.scopes)),
        files=files,
        wanted=wanted,
    )


def _join_scopes(
    files: Collection[FolderFile], mentioned: Collection[str], before: Mapping[str, FoundScopes]
) -> Iterator[tuple[str, FoundScopes]]:
    """Yield the scopes of the identity providers that are in exactly one file.

    With two files neither is used, since one may come from a stranger. Then, and if a file broke,
    the earlier scopes stay in force.
    """
    for name in sorted({*mentioned, *(name for file in files for name in file.scopes)}):
        found = [file.scopes[name] for file in files if name in file.scopes]
        if len(found) == 1 and found[0].sole:
            yield name, found[0]
        elif name in before:
            yield name, before[name]


def _describe_disputed_scopes(files: Collection[FolderFile]) -> Iterator[str]:
    """Yield why scopes of identity providers in the folder are not used."""
    for name in sorted({name for file in files for name in file.scopes}):
        found = [file.scopes[name] for file in files if name in file.scopes]
        if len(found) > 1 or not found[0].sole:
            several = "publishes its scopes in several places, or in one that cannot be used"
            yield f"{name} {several}: keep one sound entity of it in the folder"


def _find_mentioned(files: Collection[FolderFile]) -> Mapping[str, Fault]:
    """Return, by entityID, the fault of the broken file that mentions the entity."""
    mentioned: dict[str, Fault] = {}
    for file in files:
        if file.fault:
            mentioned |= dict.fromkeys(file.mentioned, file.fault)
    return mentioned


class _Parties(Generic[_Descriptor]):
    """The descriptors of the parties of one kind in all files."""

    def __init__(
        self, found: Sequence[Mapping[str, FoundRole[_Descriptor]]], ids: Collection[str]
    ) -> None:
        self._found: dict[str, list[FoundRole[_Descriptor]]] = {}
        for name in sorted(ids):
            self._found[name] = [each[name] for each in found if name in each]

    def choose_descriptors(
        self,
        mentioned: Mapping[str, Fault],
        before: Mapping[str, _Descriptor],
        faults: dict[str, tuple[Fault, ...]],
    ) -> dict[str, _Descriptor]:
        """Return the only descriptor of each party; add to ``faults`` why a party has none."""
        descriptors: dict[str, _Descriptor] = {}
        for name, roles in self._found.items():
            wrong = _find_faults(name, roles, mentioned)
            if wrong:
                earlier = faults.get(name, ())
                faults[name] = earlier + wrong
                if name in before:
                    descriptors[name] = before[name]
                continue
            for role in roles:
                if role.descriptor is not None:
                    descriptors[name] = role.descriptor
        return descriptors

    def notices(self) -> Iterator[str]:
        """Yield notices about ignored parts of usable metadata."""
        for roles in self._found.values():
            for role in roles:
                yield from role.notices

    def places(self) -> Mapping[str, str]:
        """Return the file of each party."""
        places = {}
        for name, roles in self._found.items():
            for role in roles:
                places[name] = role.where
        return places


def _find_faults(
    name: str, roles: Sequence[FoundRole[_Descriptor]], mentioned: Mapping[str, Fault]
) -> tuple[Fault, ...]:
    """Return why an entity has no usable descriptor; nothing if no file contains it."""
    if len(roles) > 1:
        places = ", ".join(sorted(role.where for role in roles))
        return (Fault(places, f"{name} has several descriptors", "keep one"),)
    if roles:
        return roles[0].faults
    if name in mentioned:
        return (mentioned[name],)
    return ()


class MetadataFolder:
    """A metadata folder and its content when it was last read."""

    def __init__(self, path: Path, wanted: WantedIds, before: FolderContents | None) -> None:
        """Read the folder; ``before`` is the content that this process read earlier."""
        self._path = path
        self._wanted = wanted
        self._seen: Mapping[Path, Stamp] | None = None
        self.contents = read(path, wanted, before)

    def read_changes(self) -> bool:
        """Read the files that have changed; return whether one has.

        A changed file is read when it is unchanged at the next call, so that a file that is still
        being copied is not read.
        """
        found = read_stamps(self._path)
        held = {path: file.stamp for path, file in self.contents.files.items()}
        settled = found == self._seen
        self._seen = found
        if not settled or found == held:
            return False
        self.contents = read(self._path, self._wanted, self.contents)
        return True
