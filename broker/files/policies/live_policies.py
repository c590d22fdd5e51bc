"""Reads policies/: all files or none, examples run, and the last good set through a bad edit."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Lock

from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Policy, PolicySet
from broker.files.checked_files import validated
from broker.files.policies import checks, consistency_checks, last_good
from broker.files.policies.configured_names import ANY_NAMES, NameableInPolicies
from broker.files.policies.consistency_checks import faults_at
from broker.files.policies.examples import Result, run_examples
from broker.files.policies.file_schema import FilePlace, PolicyShape
from broker.files.strict_yaml import LARGEST, read

__all__ = [
    "LivePolicies",
    "NameableInPolicies",
    "Result",
    "load",
    "load_or_last_good",
    "run_examples",
]

LetOthersRun = Callable[[], None]
Signature = tuple[tuple[str, int, int, int], ...]


def load(folder: Path, now: datetime, names: NameableInPolicies = ANY_NAMES) -> PolicySet:
    """Return the policies of ``folder``.

    ConfigurationFaults with every fault of every file, failed examples included.
    """
    return _parsed(_files(folder), folder.name, now, names)


def load_or_last_good(
    folder: Path,
    state: Path | None,
    now: datetime,
    names: NameableInPolicies = ANY_NAMES,
) -> tuple[PolicySet, tuple[Fault, ...]]:
    """Return the policies of ``folder``, promoted; or the last good ones and the faults.

    ConfigurationFaults (exit code 78) where neither is valid (docs/reference/design.md#6).
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
    """The policy set in force: a good edit replaces it at once, a bad one only sets ``stale``."""

    def __init__(
        self,
        folder: Path,
        held: tuple[PolicySet, tuple[Fault, ...]],
        *,
        seen: Signature,
        names: NameableInPolicies,
        state: Path | None,
        tell: Callable[[tuple[Fault, ...]], None],
    ) -> None:
        """Begin with the set and faults of ``held``; ``seen`` is the signature of the files then.

        ``tell`` gets the faults of a bad edit.
        """
        self._folder = folder
        self._state = state
        self._names = names
        self._tell = tell
        self._held = held
        self._seen = seen
        self._reloading = Lock()

    @classmethod
    def load(
        cls,
        folder: Path,
        names: NameableInPolicies,
        now: datetime,
        *,
        state: Path | None = None,
        tell: Callable[[tuple[Fault, ...]], None] = lambda _: None,
    ) -> "LivePolicies":
        """Begin with ``load_or_last_good``; ``tell`` gets a bad edit's faults, () once mended."""
        seen = _signature(folder)  # before reading: an edit meanwhile is seen at the first refresh
        held = load_or_last_good(folder, state, now, names)
        if held[1]:
            tell(held[1])
        return cls(folder, held, seen=seen, names=names, state=state, tell=tell)

    @property
    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._held[0]

    @property
    def stale(self) -> tuple[Fault, ...]:
        """Return the faults of the files as they are now; none where they are the set in force."""
        return self._held[1]

    def refresh(self, now: datetime, let_others_run: LetOthersRun = lambda: None) -> PolicySet:
        """Load the files if they have changed, and return the set in force.

        Never called by a request: a request reads ``current``. ``let_others_run`` is called every
        few milliseconds of a load.
        """
        if not self._reloading.acquire(blocking=False):
            return self._held[0]
        try:
            seen = _signature(self._folder)
            if seen != self._seen:
                self._seen = seen
                self._reload(now, let_others_run)
        finally:
            self._reloading.release()
        return self._held[0]

    def _reload(self, now: datetime, let_others_run: LetOthersRun) -> None:
        policies, faults_before = self._held
        faults: tuple[Fault, ...] = ()
        try:
            files = _files(self._folder)
            parsed = _parsed(
                files, self._folder.name, now, self._names, let_others_run=let_others_run
            )
            policies = _promoted(self._state, files, parsed)
        except ConfigurationFaults as found:
            faults = found.faults
        self._held = (policies, faults)
        if faults != faults_before:
            self._tell(faults)


def _parsed(
    files: Mapping[str, bytes],
    folder: str,
    now: datetime,
    names: NameableInPolicies,
    *,
    binding: bool = True,
    let_others_run: LetOthersRun = lambda: None,
) -> PolicySet:
    """Parse, check and try ``files``; failed examples are faults if ``binding``, else warnings."""
    policies, faults = _compiled(files, folder, let_others_run)
    faults += faults_at(folder, checks.problems(policies, names, complete=not faults))
    if faults:
        raise ConfigurationFaults(faults)
    warnings = faults_at(folder, checks.warnings(policies, now, names))
    loaded = PolicySet(tuple(policies), last_good.digest(files), tuple(warnings))
    failed = list(_failed_examples(loaded, folder, now, let_others_run))
    if not failed:
        return loaded
    if binding:
        raise ConfigurationFaults(failed)
    return replace(loaded, warnings=(*loaded.warnings, *failed))


def _compiled(
    files: Mapping[str, bytes], folder: str, let_others_run: LetOthersRun
) -> tuple[list[Policy], list[Fault]]:
    """Return the policies of the files that are well formed, and the faults of the others."""
    policies: list[Policy] = []
    faults: list[Fault] = []
    for name, octets in sorted(files.items()):
        let_others_run()
        path = f"{folder}/{name}"
        faults += faults_at(folder, consistency_checks.cpr_literals(octets, name))
        try:
            node = read(octets, path)
            written = validated(PolicyShape, node, path)
            policies.append(written.policy(FilePlace(name, node)))
        except ConfigurationFaults as found:
            faults += found.faults
    return policies, faults


def _failed_examples(
    policies: PolicySet, folder: str, now: datetime, let_others_run: LetOthersRun
) -> Iterator[Fault]:
    for result in run_examples(policies, None, now, let_others_run):
        where = f"{folder}/{result.example.place}"
        for difference in result.differences:
            yield Fault(where, f"example {result.example.name!r}: {difference}")


def _promoted(state: Path | None, files: Mapping[str, bytes], policies: PolicySet) -> PolicySet:
    """Store ``files`` as the last good set; a disk that refuses is a warning: the set is good."""
    if state is None:
        return policies
    try:
        last_good.promote(state, files)
    except OSError as error:
        what = f"the last good policies cannot be kept: {error.strerror}"
        fault = Fault(str(state), what)
        return replace(policies, warnings=(*policies.warnings, fault))
    return policies


def _paths(folder: Path) -> list[Path]:
    paths = folder.glob("*.yaml")
    return sorted(path for path in paths if not path.name.startswith("."))


def _files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every policy file, once: what is parsed is what is hashed and kept."""
    files = {}
    try:
        for path in _paths(folder):
            with path.open("rb") as file:
                files[path.name] = file.read(LARGEST + 1)
    except OSError as error:
        unreadable = Fault(str(folder), f"cannot be read: {error.strerror}")
        raise ConfigurationFaults([unreadable]) from None
    if not files:
        empty = Fault(str(folder), "holds no policy file", "name the folder in broker.toml")
        raise ConfigurationFaults([empty])
    return files


def _signature(folder: Path) -> Signature:
    """Return name, time, size and inode of every file: cheap enough for every second."""
    try:
        stats = [(path.name, path.stat()) for path in _paths(folder)]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats)
