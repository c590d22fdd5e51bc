"""Read the files of a policy folder, and detect edits."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Final

from broker.configuration import durable_files
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Policy


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 over names and bytes, with their lengths in front, sorted by name."""
    total = hashlib.sha256()
    for name, octets in sorted(files.items()):
        for part in (name.encode(), octets):
            length = len(part).to_bytes(8, "big")
            total.update(length + part)
    return total.hexdigest()


SERVICES: Final = "services.yaml"
# This file names the affiliations that may disappear, one a line.
REMOVED: Final = "REMOVED"
_ENDING: Final = ".yaml"
# The site rules hold for every set of policies, and are part of none.
_RULES: Final = re.compile(r"policy_properties\.ya?ml", re.IGNORECASE)
# Names of policy files, and of the copies that editors and file managers make.
_MEANT: Final = re.compile(r"\.ya?ml", re.IGNORECASE)
_COPY: Final = re.compile(r"[ ()#~]|\bcopy\b|\bkopi\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The bytes of a set of policy files, and where they are from, as it stands before each fault.

    ``removed`` are the affiliations that are meant to go; ``misnamed`` the faults of files that
    nobody would read.
    """

    files: Mapping[str, bytes]
    place: str
    removed: frozenset[str] = frozenset()
    misnamed: tuple[Fault, ...] = ()

    @property
    def digest(self) -> str:
        """Return the digest that names the set."""
        return digest(self.files)


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """A folder of policy files."""

    path: Path

    def file_state(self) -> object:
        """Return name, time, size and inode of every file."""
        return tuple((path.name, file_marks(path)) for path in self._list_files())

    def files(self) -> FoundFiles:
        """Read each file once, so that the same bytes are parsed, hashed and stored."""
        try:
            listed = {path.name: path for path in self._list_files()}
            files = {
                name: durable_files.read_bytes(path)
                for name, path in listed.items()
                if name.endswith(_ENDING) and not _RULES.fullmatch(name)
            }
            removed = durable_files.read_bytes(listed[REMOVED]) if REMOVED in listed else b""
        except OSError as error:
            unreadable = Fault(str(self.path), f"cannot be read: {error.strerror}")
            raise ConfigurationFaults([unreadable]) from None
        misnamed = tuple(_find_misnamed_files(self.path.name, listed))
        if not files.keys() - {SERVICES}:
            empty = Fault(str(self.path), "holds no policy file", "name the folder in broker.toml")
            raise ConfigurationFaults(misnamed or [empty])
        return FoundFiles(files, self.path.name, removed=_read_names(removed), misnamed=misnamed)

    def _list_files(self) -> list[Path]:
        """Return the paths of the folder's files, without hidden ones.

        Resolve the link of the folder once: all files are of one set while a deployment renames it.
        """
        paths = Path(realpath(self.path)).glob("[!.]*")
        return sorted(
            path
            for path in paths
            if path.name == REMOVED or _MEANT.search(path.name) or any(path.glob("*.y*ml"))
        )


def file_marks(path: Path) -> tuple[int, int, int] | None:
    """Return time, size and inode of a file, which change with an edit; None without a file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _find_misnamed_files(folder: str, names: Collection[str]) -> Iterator[Fault]:
    """Yield the faults of files whose names make them copies, or files that are not read."""
    for name in names:
        where = f"{folder}/{name}"
        is_copy = _COPY.search(name)
        if name == REMOVED:
            continue
        if not _MEANT.search(name):
            what = "is a folder with policy files, and is not read"
            yield Fault(where, what, "move its files up into this folder")
        elif _RULES.fullmatch(name):
            what = "holds the rules for all files, and is not read here"
            yield Fault(where, what, "move it next to this folder, as policy_properties.yaml")
        elif is_copy or not name.endswith(_ENDING):
            meant = f"{_MEANT.split(name)[0]}{_ENDING}"
            if is_copy or meant in names:
                what = "is by its name a copy of a policy file"
                yield Fault(where, what, "remove it, or move it out of the folder")
            else:
                what = "is no policy file by its name, and is not read"
                yield Fault(where, what, f"rename it to {meant}, or move it out of the folder")


def _read_names(octets: bytes) -> frozenset[str]:
    """Return the names in the file ``REMOVED``, one a line; a # begins a comment."""
    lines = octets.decode(errors="replace").splitlines()
    return frozenset(text.partition("#")[0].strip() for text in lines) - {""}


def find_missing_affiliations(
    found: FoundFiles, policies: Collection[Policy], in_force: Iterable[Policy]
) -> Iterator[Fault]:
    """Yield a fault for each affiliation in force that neither the set nor ``REMOVED`` names.

    Otherwise a file that was moved or renamed by mistake would refuse all its people.
    """
    kept = {policy.affiliation for policy in policies}
    for policy in in_force:
        name = policy.affiliation
        if name in kept or name in found.removed:
            continue
        where = f"{found.place}/{policy.file}"
        what = f"the affiliation {name} is in force, but no file defines it any more"
        fix = f"put it back, or write the line {name} into {found.place}/{REMOVED}"
        yield Fault(where, what, fix)
