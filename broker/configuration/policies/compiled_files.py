"""Compile policy files; a file whose bytes have not changed is not read again."""

from collections.abc import Mapping
from functools import lru_cache

from broker.configuration.checked_files import S, validate_node
from broker.configuration.policies.file_checks import faults_at
from broker.configuration.policies.file_schema import PolicyShape, Services, ServicesShape
from broker.configuration.policies.policy_folder import SERVICES
from broker.configuration.strict_yaml import read
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Policy


def compile_files(files: Mapping[str, bytes], folder: str) -> tuple[list[Policy], list[Fault]]:
    """Return the policies of the well-formed files, and the faults of all files."""
    texts = files.get(SERVICES, b"")
    policies: list[Policy] = []
    faults: list[Fault] = []
    for name, octets in sorted(files.items()):
        try:
            if name == SERVICES:
                _compile_services(octets, folder)
            else:
                policies.append(_compile_policy(name, octets, texts, folder))
        except ConfigurationFaults as found:
            faults += found.faults
    # A fault of services.yaml comes with each policy.
    return policies, list(dict.fromkeys(faults))


@lru_cache(maxsize=4)
def _compile_services(octets: bytes, folder: str) -> Services:
    """Return the services of services.yaml; raises ConfigurationFaults."""
    return _read_shape(ServicesShape, SERVICES, octets, folder).services if octets else {}


@lru_cache(maxsize=1024)
def _compile_policy(name: str, octets: bytes, texts: bytes, folder: str) -> Policy:
    """Return the policy of a file; raises ConfigurationFaults.

    A policy depends on its file and ``texts``, the bytes of services.yaml, and on nothing else.
    """
    shape = _read_shape(PolicyShape, name, octets, folder)
    services = _compile_services(texts, folder)
    faults = tuple(faults_at(folder, shape.find_faults(services)))
    if faults:
        raise ConfigurationFaults(faults)
    return shape.policy(services)


def _read_shape(shape: type[S], name: str, octets: bytes, folder: str) -> S:
    path = f"{folder}/{name}"
    return validate_node(shape, read(octets, path), path, context=name)
