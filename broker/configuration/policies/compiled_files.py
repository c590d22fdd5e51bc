"""Compile policy files; a file whose bytes have not changed is not read again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from broker.configuration.checked_files import S, validate_node
from broker.configuration.policies.file_checks import PolicyProblem, faults_at, find_cpr_literals
from broker.configuration.policies.file_schema import (
    LoginShape,
    PolicyShape,
    Services,
    ServicesShape,
)
from broker.configuration.policies.policy_folder import SERVICES
from broker.configuration.policies.value_syntax import FilePlace
from broker.configuration.strict_yaml import LARGEST, YamlNode, read
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import LoginFacts, Policy


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A policy, and the digest of its file, which has no fault."""

    digest: bytes
    policy: Policy


class CompiledFiles:
    """Compiles policy files, and caches the policies of the last call.

    A policy depends on the name and the bytes of its file and on services.yaml, and on nothing
    else. A file with a fault is not cached.
    """

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._known: Mapping[str, _Compiled] = {}
        self._services: Services = {}

    def compile_files(
        self, files: Mapping[str, bytes], folder: str
    ) -> tuple[list[Policy], list[Fault]]:
        """Return the policies of the well-formed files, and the faults of all files."""
        policies: list[Policy] = []
        known: dict[str, _Compiled] = {}
        texts = files.get(SERVICES, b"")
        services, faults = _read_services(texts, folder) if texts else ({}, [])
        self._services = services or {}
        for name, octets in sorted(files.items()):
            if name == SERVICES:
                continue
            digest = sha256(sha256(texts).digest() + octets).digest()
            before = self._known.get(name)
            if before is not None and before.digest == digest:
                known[name] = before
                policies.append(before.policy)
                continue
            policy, found = _read(name, octets, folder, services)
            faults += found
            if policy is None:
                continue
            policies.append(policy)
            if not found:
                known[name] = _Compiled(digest, policy)
        self._known = known
        return policies, faults

    def find_unused_services(self, policies: Iterable[Policy]) -> Iterator[PolicyProblem]:
        """Find services of services.yaml that no affiliation of ``policies`` has an entry for."""
        used = {release.service for policy in policies for release in policy.releases}
        for name, (_, place) in self._services.items():
            if name not in used:
                fix = "add it to release of an affiliation, or remove it here"
                yield place.line, f"no affiliation uses the service {name!r}", fix


def _read_services(octets: bytes, folder: str) -> tuple[Services | None, list[Fault]]:
    """Return the services of services.yaml, None where it has a fault, and its faults."""
    shape, node, faults = _read_shape(ServicesShape, SERVICES, octets, folder)
    if shape is None or node is None:
        return None, faults
    return shape.services(FilePlace.top(SERVICES, node)), faults


def _read(
    name: str, octets: bytes, folder: str, services: Services | None
) -> tuple[Policy | None, list[Fault]]:
    """Return the policy of a file, None where it is not well formed, and the file's faults."""
    shape, node, faults = _read_shape(PolicyShape, name, octets, folder)
    if shape is None or node is None or services is None:
        return None, faults
    place = FilePlace.top(name, node)
    unstated = list(faults_at(folder, shape.find_faults(place, services)))
    if unstated:
        return None, [*faults, *unstated]
    return shape.policy(place, services), faults


def _read_shape(
    shape: type[S], name: str, octets: bytes, folder: str
) -> tuple[S | None, YamlNode | None, list[Fault]]:
    """Return what a file says, None where it is not well formed, its node, and its faults."""
    path = f"{folder}/{name}"
    faults = list(faults_at(folder, find_cpr_literals(octets, name)))
    try:
        node = read(octets, path)
        return validate_node(shape, node, path), node, faults
    except ConfigurationFaults as found:
        faults += found.faults
        return None, None, faults


def read_login(path: Path) -> LoginFacts:
    """Return the facts of the login in ``path``, the keys of an example's ``login``.

    ConfigurationFaults with everything wrong, a CPR number too, which is not quoted; OSError.
    """
    with path.open("rb") as file:
        octets = file.read(LARGEST + 1)
    numbers = list(faults_at(str(path.parent), find_cpr_literals(octets, path.name)))
    if numbers:
        raise ConfigurationFaults(numbers)
    written = validate_node(LoginShape, read(octets, str(path)), str(path))
    if written.day is not None:
        raise ConfigurationFaults([Fault(str(path), "day is for examples", "say --date DAY")])
    return written.facts()
