"""Compile policy files; a file whose bytes have not changed is not read again."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from broker.configuration.checked_files import S, line, validate_node
from broker.configuration.policies.file_checks import PolicyProblem, faults_at
from broker.configuration.policies.file_schema import PolicyShape, Services, ServicesShape
from broker.configuration.policies.policy_folder import SERVICES
from broker.configuration.policies.value_syntax import FilePlace
from broker.configuration.strict_yaml import read
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Policy


def compile_files(files: Mapping[str, bytes], folder: str) -> tuple[list[Policy], list[Fault]]:
    """Return the policies of the well-formed files, and the faults of all files."""
    texts = files.get(SERVICES, b"")
    faults = list(_compile_services(texts, folder)[1])
    policies = []
    for name, octets in sorted(files.items()):
        if name != SERVICES:
            policy, found = _compile_policy(name, octets, texts, folder)
            faults += found
            if policy is not None:
                policies.append(policy)
    return policies, faults


def find_unused_services(
    files: Mapping[str, bytes], folder: str, policies: Iterable[Policy]
) -> Iterator[PolicyProblem]:
    """Find services of services.yaml that no affiliation of ``policies`` has an entry for."""
    used = {release.service for policy in policies for release in policy.releases}
    services, _ = _compile_services(files.get(SERVICES, b""), folder)
    for name, (_, place) in (services or {}).items():
        if name not in used:
            fix = "add it to release of an affiliation, or remove it here"
            yield place.line, f"no affiliation uses the service {name!r}", fix


@lru_cache(maxsize=4)
def _compile_services(octets: bytes, folder: str) -> tuple[Services | None, tuple[Fault, ...]]:
    """Return the services of services.yaml, None if it has a fault, and its faults."""
    if not octets:
        return {}, ()
    shape, place, faults = _read_shape(ServicesShape, SERVICES, octets, folder)
    return (shape.services(place) if shape else None), faults


@lru_cache(maxsize=1024)
def _compile_policy(
    name: str, octets: bytes, texts: bytes, folder: str
) -> tuple[Policy | None, tuple[Fault, ...]]:
    """Return the policy of a file, None if it is not well formed, and the file's faults.

    A policy depends on its file and ``texts``, the bytes of services.yaml, and on nothing else.
    """
    services, _ = _compile_services(texts, folder)
    shape, place, faults = _read_shape(PolicyShape, name, octets, folder)
    if shape is None or services is None:
        return None, faults
    unstated = tuple(faults_at(folder, shape.find_faults(place, services)))
    policy = None if unstated else shape.policy(place, services)
    return policy, (*faults, *unstated)


def _read_shape(
    shape: type[S], name: str, octets: bytes, folder: str
) -> tuple[S | None, FilePlace, tuple[Fault, ...]]:
    """Return what a file says, None if it is not well formed, its first place, and its faults."""
    path = f"{folder}/{name}"
    try:
        node = read(octets, path)
        return validate_node(shape, node, path), FilePlace(name, node, line(node, ())), ()
    except ConfigurationFaults as found:
        return None, FilePlace(name, None, 1), found.faults
