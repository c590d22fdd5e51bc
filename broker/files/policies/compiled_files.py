"""Policy files made into policies: each is read once, as long as its bytes stay the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Policy
from broker.files.checked_files import validated
from broker.files.policies import consistency_checks
from broker.files.policies.consistency_checks import faults_at
from broker.files.policies.file_place import FilePlace
from broker.files.policies.file_schema import PolicyShape
from broker.files.policies.open_questions import open_questions
from broker.files.strict_yaml import read


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A policy, and the digest of the file that says it without a fault."""

    digest: bytes
    policy: Policy


class CompiledFiles:
    """Makes policies of files, and remembers those of the files that were given last.

    A policy is made of the name and the bytes of its file and of nothing else: no fault of another
    file, and no setting, has a part in it. A file with a fault is not remembered.
    """

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._known: Mapping[str, _Compiled] = {}

    def compiled(
        self, files: Mapping[str, bytes], folder: str, let_others_run: Callable[[], None]
    ) -> tuple[list[Policy], list[Fault]]:
        """Return the policies of the files that are well formed, and the faults of the others."""
        policies: list[Policy] = []
        faults: list[Fault] = []
        known: dict[str, _Compiled] = {}
        for name, octets in sorted(files.items()):
            let_others_run()
            digest = sha256(octets).digest()
            before = self._known.get(name)
            if before is not None and before.digest == digest:
                known[name] = before
                policies.append(before.policy)
                continue
            policy, found = _read(name, octets, folder)
            faults += found
            if policy is None:
                continue
            policies.append(policy)
            if not found:
                known[name] = _Compiled(digest, policy)
        self._known = known
        return policies, faults


def _read(name: str, octets: bytes, folder: str) -> tuple[Policy | None, list[Fault]]:
    """Return the policy of a file, None where it is not well formed, and the file's faults."""
    path = f"{folder}/{name}"
    numbers = consistency_checks.cpr_literals(octets, name)
    faults = list(faults_at(folder, numbers))
    asked: set[str] = set()
    try:
        node = read(octets, path)
        unanswered = list(open_questions(node, path))
        faults += unanswered
        asked = {question.where for question in unanswered}
        written = validated(PolicyShape, node, path)
        policy = written.policy(FilePlace.top(name, node))
    except ConfigurationFaults as found:
        # That a question is no answer needs not to be said twice.
        faults += [fault for fault in found.faults if fault.where not in asked]
        return None, faults
    return policy, faults
