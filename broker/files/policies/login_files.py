"""Reads a login that a YAML file describes, as an example of a policy does."""

from pathlib import Path

from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import LoginFacts
from broker.files.checked_files import validated
from broker.files.policies.consistency_checks import cpr_literals, faults_at
from broker.files.policies.file_schema import LoginShape
from broker.files.strict_yaml import LARGEST, read


def read_login(path: Path) -> LoginFacts:
    """Return the facts of the login in ``path``, the keys of an example's ``login``.

    ConfigurationFaults with everything wrong, a CPR number too, which is not quoted; OSError.
    """
    with path.open("rb") as file:
        octets = file.read(LARGEST + 1)
    numbers = list(faults_at(str(path.parent), cpr_literals(octets, path.name)))
    if numbers:
        raise ConfigurationFaults(numbers)
    written = validated(LoginShape, read(octets, str(path)), str(path))
    if written.day is not None:
        raise ConfigurationFaults([Fault(str(path), "day is for examples", "say --date DAY")])
    return written.facts()
