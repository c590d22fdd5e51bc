"""The only reader of metadata/: each file by itself, so that a broken one takes nobody else along.

Whoever writes the folder also writes broker.toml, so that signatures in it are not verified.
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
    """Anything that may be used until some time, or for ever."""

    @property
    def until(self) -> datetime | None:
        """Return the end, if there is one."""
        ...


_Lasting = TypeVar("_Lasting", bound=Lasting)
_Descriptor = TypeVar("_Descriptor")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the peers publish about themselves, by entityID.

    ``completed_upstreams`` are the configured upstreams, by name, completed by what their
    institutions publish.
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
        return in_force(self.upstreams.get(entity_id), now)

    def service(self, entity_id: str, now: datetime) -> ServiceDescriptor | None:
        """Return a service's descriptor, or None where there is none, or it has run out."""
        return in_force(self.services.get(entity_id), now)

    def encrypts(self, entity_id: str) -> bool:
        """Return whether this service publishes an encryption key.

        Without one no CPR leaves (docs/reference/design.md#invariant-4).
        """
        found = self.services.get(entity_id)
        return found is not None and found.encryption_certificate is not None


class Source(Protocol):
    """Where a role reads metadata: once for a message, which is held against one state of it."""

    @property
    def current(self) -> Metadata:
        """Return the metadata in force."""
        ...


def in_force(found: _Lasting | None, now: datetime) -> _Lasting | None:
    """Refuse a descriptor that has run out (saml-metadata 2.3.1).

    Its keys may have been revoked since.
    """
    if found is None:
        return None
    if found.until and found.until <= now - SKEW:
        return None
    return found


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What a metadata folder holds at one moment of the entities in use.

    ``faults`` are by entityID: of a party without a descriptor that can be used, or whose last good
    one stands in. ``broken`` are the files that are no metadata. ``places`` has the file of each
    descriptor, ``scopes`` what identity providers publish for themselves.
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
    """Read every ``*.xml`` of ``folder`` for the entities wanted; others are left alone.

    Nothing raises: what cannot be used is told in the result, with file, element and line. Files
    that have not changed since ``before`` are not read again, and where an edit broke a party that
    was good in ``before`` that last good descriptor stands, until its own end. Sources:
    saml-metadata 2.3-2.4, docs/reference/saml-profiles.md#4 to #10.
    """
    known = before or FolderContents()
    files: dict[Path, FolderFile] = {}
    for path, stamp in stamps(folder).items():
        old = known.files.get(path, FolderFile())
        if old.stamp == stamp and known.wanted == wanted:
            files[path] = old
        else:
            where = f"{folder.name}/{path.name}"
            files[path] = read_file(path, where, stamp, wanted, old.names)
    return _joined(files, wanted, known)


def stamps(folder: Path) -> dict[Path, Stamp]:
    """Return the files of the folder by name, each with what tells one version from another."""
    found: dict[Path, Stamp] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.glob("*.xml")):
        try:
            stat = path.stat()
        except OSError:
            continue  # it went while we looked
        found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def _joined(
    files: Mapping[Path, FolderFile], wanted: WantedIds, before: FolderContents
) -> FolderContents:
    read = list(files.values())
    good = before.metadata
    faults: dict[str, tuple[Fault, ...]] = {}
    broken = [file.fault for file in read if file.fault]
    mentioned = _mentioned(read)
    found = []
    for file in read:
        along = file.brought_along(wanted.fed)
        broken += along.values()
        found.append({name: idp for name, idp in file.upstreams.items() if name not in along})
    idps = _Parties(found, wanted.upstreams)
    upstreams = idps.in_use(mentioned, good.upstreams, faults)
    sps = _Parties([file.services for file in read], wanted.services)
    services = sps.in_use(mentioned, good.services, faults)
    return FolderContents(
        metadata=Metadata(upstreams, services),
        faults=faults,
        broken=tuple(broken),
        notices=(*idps.notices(), *sps.notices(), *_disputed_scopes(files.values())),
        places={**idps.places(), **sps.places()},
        scopes=dict(_scopes(files.values(), mentioned, before.scopes)),
        files=files,
        wanted=wanted,
    )


def _scopes(
    files: Collection[FolderFile], mentioned: Collection[str], before: Mapping[str, FoundScopes]
) -> Iterator[tuple[str, FoundScopes]]:
    """Yield the scopes of the identity providers that have them from one place.

    Of two files neither is believed: the second may be of anybody who sends metadata. Then, and
    where the file broke, those before stand.
    """
    for name in sorted({*mentioned, *(name for file in files for name in file.scopes)}):
        found = [file.scopes[name] for file in files if name in file.scopes]
        if len(found) == 1 and found[0].sole:
            yield name, found[0]
        elif name in before:
            yield name, before[name]


def _disputed_scopes(files: Collection[FolderFile]) -> Iterator[str]:
    """Name the identity providers whose scopes are not taken as the folder has them now."""
    for name in sorted({name for file in files for name in file.scopes}):
        found = [file.scopes[name] for file in files if name in file.scopes]
        if len(found) > 1 or not found[0].sole:
            several = "publishes its scopes in several places, or in one that cannot be used"
            yield f"{name} {several}: keep one sound entity of it in the folder"


def _mentioned(files: Collection[FolderFile]) -> Mapping[str, Fault]:
    """Return the fault of the broken file that mentions an entity, by entityID."""
    mentioned: dict[str, Fault] = {}
    for file in files:
        if file.fault:
            mentioned |= dict.fromkeys(file.mentioned, file.fault)
    return mentioned


class _Parties(Generic[_Descriptor]):
    """What all files hold of the parties of one kind."""

    def __init__(
        self, found: Sequence[Mapping[str, FoundRole[_Descriptor]]], ids: Collection[str]
    ) -> None:
        self._found: dict[str, list[FoundRole[_Descriptor]]] = {}
        for name in sorted(ids):
            self._found[name] = [each[name] for each in found if name in each]

    def in_use(
        self,
        mentioned: Mapping[str, Fault],
        before: Mapping[str, _Descriptor],
        faults: dict[str, tuple[Fault, ...]],
    ) -> dict[str, _Descriptor]:
        """Return the one descriptor of each party that has one; why others have none is added."""
        descriptors: dict[str, _Descriptor] = {}
        for name, roles in self._found.items():
            wrong = _wrong(name, roles, mentioned)
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
        """Yield what was passed over beside something good."""
        for roles in self._found.values():
            for role in roles:
                yield from role.notices

    def places(self) -> Mapping[str, str]:
        """Return the file of each party that is in one."""
        places = {}
        for name, roles in self._found.items():
            for role in roles:
                places[name] = role.where
        return places


def _wrong(
    name: str, roles: Sequence[FoundRole[_Descriptor]], mentioned: Mapping[str, Fault]
) -> tuple[Fault, ...]:
    """Return why an entity has no descriptor that can be used; nothing where none is here."""
    if len(roles) > 1:
        places = ", ".join(sorted(role.where for role in roles))
        return (Fault(places, f"{name} has several descriptors", "keep one"),)
    if roles:
        return roles[0].faults
    if name in mentioned:
        return (mentioned[name],)
    return ()


class MetadataFolder:
    """A metadata folder and what it held when it was last looked at."""

    def __init__(self, path: Path, wanted: WantedIds, before: FolderContents | None) -> None:
        """Read the folder; ``before`` is what this process has read of it already."""
        self._path = path
        self._wanted = wanted
        self._seen: Mapping[Path, Stamp] | None = None
        self.contents = read(path, wanted, before)

    def look(self) -> bool:
        """Read the files that have changed; return whether one has.

        A file is read once it has been the same for two looks: one that is being copied is not cut
        short.
        """
        found = stamps(self._path)
        held = {path: file.stamp for path, file in self.contents.files.items()}
        settled = found == self._seen
        self._seen = found
        if not settled or found == held:
            return False
        self.contents = read(self._path, self._wanted, self.contents)
        return True
