"""Policy files made into policies: each is read once, as long as its bytes stay the same."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from broker.configuration.checked_files import FILL_IN, S, validated
from broker.configuration.policies.file_checks import PolicyProblem, faults_at, find_cpr_literals
from broker.configuration.policies.file_schema import (
    LoginShape,
    PolicyShape,
    Services,
    ServicesShape,
)
from broker.configuration.policies.policy_folder import SERVICES
from broker.configuration.policies.value_syntax import FilePlace
from broker.configuration.strict_yaml import (
    LARGEST,
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    read,
)
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import LoginFacts, Policy


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A policy, and the digest of the file that says it without a fault."""

    digest: bytes
    policy: Policy


class CompiledFiles:
    """Makes policies of files, and remembers those of the files that were given last.

    A policy is made of the name and the bytes of its file and of services.yaml: no fault of another
    file, and no setting, has a part in it. A file with a fault is not remembered.
    """

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._known: Mapping[str, _Compiled] = {}
        self._services: Services = {}

    def compiled(
        self, files: Mapping[str, bytes], folder: str, let_others_run: Callable[[], None]
    ) -> tuple[list[Policy], list[Fault]]:
        """Return the policies of the files that are well formed, and the faults of the others."""
        policies: list[Policy] = []
        known: dict[str, _Compiled] = {}
        texts = files.get(SERVICES, b"")
        services, faults = _read_services(texts, folder) if texts else ({}, [])
        self._services = services or {}
        for name, octets in sorted(files.items()):
            if name == SERVICES:
                continue
            let_others_run()
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
    unstated = list(faults_at(folder, shape.unstated(place, services)))
    if unstated:
        return None, [*faults, *unstated]
    return shape.policy(place, services), faults


def _read_shape(
    shape: type[S], name: str, octets: bytes, folder: str
) -> tuple[S | None, YamlNode | None, list[Fault]]:
    """Return what a file says, None where it is not well formed, its node, and its faults."""
    path = f"{folder}/{name}"
    faults = list(faults_at(folder, find_cpr_literals(octets, name)))
    asked: set[str] = set()
    try:
        node = read(octets, path)
        unanswered = list(open_questions(node, path))
        faults += unanswered
        asked = {question.where for question in unanswered}
        return validated(shape, node, path), node, faults
    except ConfigurationFaults as found:
        # That a question is no answer needs not to be said twice.
        faults += [fault for fault in found.faults if fault.where not in asked]
        return None, None, faults


def open_questions(node: YamlNode, name: str) -> Iterator[Fault]:
    """Yield each value that begins with ``FILL IN``, with its key and what is asked.

    ``name`` is what faults call the file.
    """
    # Hardly a file has one, and the way to each of a thousand files' values is long.
    if _asks(node):
        yield from _questions(node, name, ())


def _asks(node: YamlNode) -> bool:
    if isinstance(node, YamlScalar):
        return node.text.startswith(FILL_IN)
    if isinstance(node, YamlSequence):
        return any(map(_asks, node.nodes))
    return any(_asks(entry.node) for entry in node.entries)


def _questions(node: YamlNode, name: str, path: tuple[str, ...]) -> Iterator[Fault]:
    match node:
        case YamlScalar() if node.text.startswith(FILL_IN):
            asked = node.text.removeprefix(FILL_IN).strip(" :")
            yield Fault(f"{name}:{node.line}", f"{'.'.join(path)} is to be filled in", asked)
        case YamlSequence():
            for number, item in enumerate(node.nodes, 1):
                yield from _questions(item, name, (*path, str(number)))
        case YamlMapping():
            for entry in node.entries:
                yield from _questions(entry.node, name, (*path, entry.key))


def read_login(path: Path) -> LoginFacts:
    """Return the facts of the login in ``path``, the keys of an example's ``login``.

    ConfigurationFaults with everything wrong, a CPR number too, which is not quoted; OSError.
    """
    with path.open("rb") as file:
        octets = file.read(LARGEST + 1)
    numbers = list(faults_at(str(path.parent), find_cpr_literals(octets, path.name)))
    if numbers:
        raise ConfigurationFaults(numbers)
    written = validated(LoginShape, read(octets, str(path)), str(path))
    if written.day is not None:
        raise ConfigurationFaults([Fault(str(path), "day is for examples", "say --date DAY")])
    return written.facts()
