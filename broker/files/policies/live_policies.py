"""Reads policies/: every file or none, with its examples run, and keeps the last good set through a bad edit."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from broker.core.entities import Service
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.attributes import AttributeMap
from broker.core.policy.model import Policy, PolicySet
from broker.files.checked_yaml import validated
from broker.files.policies import consistency_checks, last_good
from broker.files.policies.compiler import compiled
from broker.files.policies.examples import Result, run_examples
from broker.files.policies.file_schema import PolicyShape
from broker.files.strict_yaml import LARGEST, read

__all__ = [
    "LivePolicies",
    "NameableInPolicies",
    "Result",
    "load",
    "load_or_last_good",
    "run_examples",
]

_LOOKED_AT_EVERY: Final = timedelta(seconds=2)

Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class NameableInPolicies:
    """What policies may name: services and attributes; None where any name will do.

    With ``configured`` and ``maps``, what each service is, and what it reads, is held against what
    is released to it.
    """

    services: Collection[str] | None = None
    attributes: Collection[str] | None = None
    configured: Mapping[str, Service] | None = None
    maps: Mapping[str, AttributeMap] | None = None


def load(
    folder: Path, now: datetime, names: NameableInPolicies = NameableInPolicies()
) -> PolicySet:
    """Return the policies of ``folder``; ConfigurationFaults with every fault of every file, failed examples included."""
    return _parsed(_files(folder), folder.name, now, names)


def load_or_last_good(
    folder: Path,
    state: Path | None,
    now: datetime,
    names: NameableInPolicies = NameableInPolicies(),
) -> tuple[PolicySet, tuple[Fault, ...]]:
    """Return the policies of ``folder`` and promote them; or the last good set of ``state`` and why it is that one.

    ConfigurationFaults (exit code 78) where neither is valid (design 6).
    """
    try:
        files = _files(folder)
        policies = _parsed(files, folder.name, now, names)
    except ConfigurationFaults as found:
        kept = last_good.last_good_files(state) if state else None
        if not kept:
            raise
        try:
            # They were good once: what only time has changed (a domain's ``until``) must not end
            # every login.
            return _parsed(kept, folder.name, now, names, binding=False), found.faults
        except ConfigurationFaults:
            raise found from None
    return _promoted(state, files, policies), ()


class LivePolicies:
    """The policy set of the moment: a good edit replaces it in one assignment, a bad one changes only ``stale``."""

    def __init__(
        self,
        folder: Path,
        held: tuple[PolicySet, tuple[Fault, ...]],
        now: datetime,
        *,
        seen: Signature,
        names: NameableInPolicies,
        state: Path | None,
        tell: Callable[[tuple[Fault, ...]], None],
    ) -> None:
        """Take the folder, what to begin with and how the files looked then, and whom to tell of faults."""
        self._folder, self._state, self._names, self._tell = folder, state, names, tell
        self._held = held
        self._looked = now
        self._seen = seen
        self._turn = Lock()

    @classmethod
    def load(
        cls,
        folder: Path,
        services: Mapping[str, Service] | None,
        now: datetime,
        *,
        attributes: Collection[str] | None = None,
        maps: Mapping[str, AttributeMap] | None = None,
        state: Path | None = None,
        tell: Callable[[tuple[Fault, ...]], None] = lambda _: None,
    ) -> "LivePolicies":
        """Begin with ``load_or_last_good``; ``tell`` gets the faults of a bad edit, and nothing once it is mended."""
        names = NameableInPolicies(services, attributes, services, maps)
        seen = _signature(folder)  # before reading: an edit meanwhile is seen at the first refresh
        held = load_or_last_good(folder, state, now, names)
        if held[1]:
            tell(held[1])
        return cls(folder, held, now, seen=seen, names=names, state=state, tell=tell)

    @property
    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._held[0]

    @property
    def stale(self) -> tuple[Fault, ...]:
        """Return the faults of the files as they lie there, or nothing where they are the set in force."""
        return self._held[1]

    def refresh(self, now: datetime) -> PolicySet:
        """Look, at most every two seconds, whether the files changed; give the set in force, which never fails."""
        if timedelta(0) <= now - self._looked < _LOOKED_AT_EVERY or not self._turn.acquire(
            blocking=False
        ):
            return self._held[0]
        try:
            self._looked = now
            seen = _signature(self._folder)
            if seen != self._seen:
                self._seen = seen
                self._reload(now)
        finally:
            self._turn.release()
        return self._held[0]

    def _reload(self, now: datetime) -> None:
        before = self._held
        try:
            files = _files(self._folder)
            self._held = (
                _promoted(self._state, files, _parsed(files, self._folder.name, now, self._names)),
                (),
            )
        except ConfigurationFaults as found:
            self._held = (before[0], found.faults)
        if self._held[1] != before[1]:
            self._tell(self._held[1])


def _parsed(
    files: Mapping[str, bytes],
    folder: str,
    now: datetime,
    names: NameableInPolicies,
    *,
    binding: bool = True,
) -> PolicySet:
    faults: list[Fault] = []
    policies: list[Policy] = []
    for name, octets in sorted(files.items()):
        faults += consistency_checks.literals(octets, f"{folder}/{name}")
        try:
            node = read(octets, f"{folder}/{name}")
            policies.append(compiled(validated(PolicyShape, node, f"{folder}/{name}"), node, name))
        except ConfigurationFaults as found:
            faults += found.faults
    for policy in policies:
        faults += consistency_checks.one_file(policy, folder, names.services, names.attributes)
    faults += consistency_checks.across(policies, folder)
    warnings = [
        *consistency_checks.overdue(policies, folder, now.date()),
        *consistency_checks.unknown(policies, folder, names.services),
    ]
    if names.configured is not None:
        faults += consistency_checks.clashes(policies, folder, names.configured, names.maps or {})
        warnings += consistency_checks.unready(policies, folder, names.configured)
    if faults:
        raise ConfigurationFaults(faults)
    loaded = PolicySet(tuple(policies), last_good.digest(files), tuple(warnings))
    failed = [
        Fault(f"{folder}/{each.example.place}", f"example {each.example.name!r}: {difference}")
        for each in run_examples(loaded, None, now)
        for difference in each.differences
    ]
    if failed and binding:
        raise ConfigurationFaults(failed)
    return replace(loaded, warnings=(*loaded.warnings, *failed)) if failed else loaded


def _promoted(state: Path | None, files: Mapping[str, bytes], policies: PolicySet) -> PolicySet:
    """Keep ``files`` as the last good set; a disk that does not let us is a warning, for the set itself is good."""
    if state is None:
        return policies
    try:
        last_good.promote(state, files)
    except OSError as error:
        fault = Fault(str(state), f"the last good policies cannot be kept: {error.strerror}")
        return replace(policies, warnings=(*policies.warnings, fault))
    return policies


def _paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("."))


def _files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every policy file, once: what is parsed is what is hashed and kept."""
    files = {}
    try:
        for path in _paths(folder):
            with path.open("rb") as file:
                files[path.name] = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigurationFaults(
            [Fault(str(folder), f"cannot be read: {error.strerror}")]
        ) from None
    if not files:
        raise ConfigurationFaults(
            [Fault(str(folder), "holds no policy file", "name the folder in broker.toml")]
        )
    return files


def _signature(folder: Path) -> Signature:
    """Return what changes when a file does: cheap enough to look at every two seconds."""
    try:
        stats = [(path.name, path.stat()) for path in _paths(folder)]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats)
