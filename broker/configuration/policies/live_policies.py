"""Load policies/ and keep a good set in force: a bad edit changes nothing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from broker.configuration.garbage_pause import pause_garbage_collection
from broker.configuration.policies import last_good, policy_folder, site_checks
from broker.configuration.policies.compiled_files import CompiledFiles
from broker.configuration.policies.example_failures import find_failures, find_unlike_live_logins
from broker.configuration.policies.examples import Result, run_examples
from broker.configuration.policies.file_checks import faults_at
from broker.configuration.policies.policy_folder import FoundFiles, PolicyFolder, file_marks
from broker.configuration.policies.site_checks import ANY_NAMES, NameableInPolicies
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Policy, PolicySet

__all__ = [
    "LivePolicies",
    "NameableInPolicies",
    "Result",
    "load",
    "load_or_last_good",
    "run_examples",
]

# The pause after an unexpected error, such as a full disk.
_TRIED_EVERY: Final = timedelta(seconds=10)

# Gets the digests of the old and the new set.
TellChange = Callable[[str, str], None]
# Writes both digests to the audit log before the set is in force; raises AuditUnavailable.
RecordChange = Callable[[str | None, str], None]


def _record_nothing(_before: str | None, _after: str) -> None:
    pass


def load(
    folder: Path, now: datetime, names: NameableInPolicies = ANY_NAMES, state: Path | None = None
) -> PolicySet:
    """Return the policies of ``folder``.

    Raise ConfigurationFaults with all faults of all files, including failed examples, and
    affiliations of the last good set in ``state`` that disappear without a line in ``REMOVED``.
    """
    found = PolicyFolder(folder).files()
    return load_found(found, now, names, _read_policies_in_force(found, state))


def well_formed(files: Mapping[str, bytes], place: str) -> list[Policy]:
    """Return the policies of the well-formed files, without further checks."""
    return CompiledFiles().compile_files(files, place)[0]


def load_or_last_good(
    folder: Path,
    state: Path | None,
    now: datetime,
    names: NameableInPolicies = ANY_NAMES,
    *,
    compiled: CompiledFiles | None = None,
    record: RecordChange = _record_nothing,
) -> tuple[PolicySet, tuple[Fault, ...]]:
    """Return the policies of ``folder`` as the new last good set; or the last good set and faults.

    ``compiled`` caches the files for the next load. ``record`` is that of ``last_good.promote``.
    Raise ConfigurationFaults (exit code 78) if neither set is valid (docs/reference/design.md#6).
    """
    try:
        found = PolicyFolder(folder).files()
        policies = load_found(
            found, now, names, _read_policies_in_force(found, state), compiled=compiled
        )
    except ConfigurationFaults as refused:
        kept = last_good.last_good_files(state) if state else None
        if not kept:
            raise
        try:
            # An example that fails only because time has passed must not end every login.
            good = FoundFiles(kept, folder.name, binding=False)
            return load_found(good, now, names, compiled=compiled), refused.faults
        except ConfigurationFaults:
            raise refused from None
    return _promote_files(state, found.files, policies, record, None), ()


@dataclass(slots=True, eq=False)
class LivePolicies:
    """The policy set in force: a good edit replaces it at once, a bad edit only sets ``stale``.

    ``_held`` is the set in force with the faults of the files, ``_seen`` their signature.
    ``_tell`` gets the faults of a bad edit, ``_changed`` the digests of the old and the new set.
    ``_record`` writes each change to the audit log.
    """

    _folder: PolicyFolder
    _names: NameableInPolicies
    _state: Path | None
    _tell: Callable[[tuple[Fault, ...]], None]
    _changed: TellChange
    _record: RecordChange
    _compiled: CompiledFiles
    _held: tuple[PolicySet, tuple[Fault, ...]]
    _seen: object
    _reloading: Lock = field(default_factory=Lock)
    _try_again_from: datetime | None = None

    @classmethod
    def load(
        cls,
        folder: Path,
        names: NameableInPolicies,
        now: datetime,
        *,
        state: Path | None = None,
        tell: Callable[[tuple[Fault, ...]], None] = lambda _: None,
        changed: TellChange = lambda _before, _after: None,
        record: RecordChange = _record_nothing,
    ) -> "LivePolicies":
        """Start with ``load_or_last_good``.

        ``tell`` gets the faults of a bad edit, and () when they are fixed. ``changed`` gets the old
        and the new digest, also after an edit while no broker ran. ``record`` gets them once on
        each machine, before the new set is in force (``last_good.promote``).
        """
        read = PolicyFolder(folder)
        # Before reading: an edit meanwhile is seen at the first refresh.
        seen = _signature(read, names)
        before = last_good.last_good_digest(state) if state else None
        compiled = CompiledFiles()
        held = load_or_last_good(folder, state, now, names, compiled=compiled, record=record)
        if held[1]:
            tell(held[1])
        if before not in {None, held[0].digest}:
            changed(before or "", held[0].digest)
        return cls(read, names, state, tell, changed, record, compiled, held, seen)

    @property
    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._held[0]

    @property
    def stale(self) -> tuple[Fault, ...]:
        """Return the faults of the files; none if they are the set in force."""
        return self._held[1]

    def refresh(self, now: datetime) -> PolicySet:
        """Load the files if they have changed, and return the set in force.

        An unexpected error is raised for the caller to log, and the load is retried after ten
        seconds. Requests never call this method: they read ``current``.
        """
        if not self._reloading.acquire(blocking=False):
            return self._held[0]
        try:
            seen = _signature(self._folder, self._names)
            if seen != self._seen or self._is_due(now):
                self._seen = seen
                self._try_again_from = now
                self._reload(now)
                self._try_again_from = None
        finally:
            self._reloading.release()
        return self._held[0]

    def _is_due(self, now: datetime) -> bool:
        """Return whether a load that ended in an unexpected error should be retried."""
        ended = self._try_again_from
        return ended is not None and abs(now - ended) >= _TRIED_EVERY

    def _reload(self, now: datetime) -> None:
        policies, faults_before = self._held
        before = policies.digest
        faults: tuple[Fault, ...] = ()
        try:
            found = self._folder.files()
            parsed = load_found(found, now, self._names, policies.policies, compiled=self._compiled)
            policies = _promote_files(self._state, found.files, parsed, self._record, before)
        except ConfigurationFaults as found:
            faults = found.faults
        self._held = (policies, faults)
        if faults != faults_before:
            self._tell(faults)
        if policies.digest != before:
            self._changed(before, policies.digest)


def _signature(folder: PolicyFolder, names: NameableInPolicies) -> object:
    """Return a value that changes when the policy files or the site rules change."""
    return folder.signature(), file_marks(names.site_rules) if names.site_rules else None


def load_found(
    found: FoundFiles,
    now: datetime,
    names: NameableInPolicies,
    in_force: Iterable[Policy] = (),
    *,
    compiled: CompiledFiles | None = None,
) -> PolicySet:
    """Compile and check the files and run the examples.

    Failed examples are faults; they are warnings if the files are not binding.
    """
    with pause_garbage_collection():
        remembering = compiled or CompiledFiles()
        policies, faults = remembering.compile_files(found.files, found.place)
        faults += faults_at(found.place, site_checks.find_problems(policies, names))
        faults += found.misnamed
        if not faults:
            faults += policy_folder.find_missing_affiliations(found, policies, in_force)
        if faults:
            raise ConfigurationFaults(faults)
        unused = faults_at(found.place, remembering.find_unused_services(policies))
        loaded = _run_set_examples(found, policies, now, names)
        return replace(loaded, warnings=(*loaded.warnings, *unused))


def _run_set_examples(
    found: FoundFiles, policies: list[Policy], now: datetime, names: NameableInPolicies
) -> PolicySet:
    folder = found.place
    warnings = [
        *faults_at(folder, site_checks.find_warnings(policies, now, names)),
        *policy_folder.find_needless_removals(found, policies),
    ]
    if names.person_register is False:
        policies = list(map(_drop_register, policies))
    loaded = PolicySet(tuple(policies), found.digest, tuple(warnings))
    results = run_examples(loaded, None, now)
    unlike = tuple(faults_at(folder, find_unlike_live_logins(results, names)))
    loaded = replace(loaded, warnings=(*loaded.warnings, *unlike))
    failed = list(faults_at(folder, find_failures(loaded, results, now.date())))
    if found.binding:
        return _check_site_rules(loaded, failed, names, now)
    return replace(loaded, warnings=(*loaded.warnings, *failed)) if failed else loaded


def _drop_register(policy: Policy) -> Policy:
    """Return the policy without its register rule: no register is configured."""
    if policy.borrower is None or policy.borrower.register is None:
        return policy
    return replace(policy, borrower=replace(policy.borrower, register=None))


def _check_site_rules(
    loaded: PolicySet, failed: list[Fault], names: NameableInPolicies, now: datetime
) -> PolicySet:
    """Check a proposed set against the site rules; a set in force was checked before."""
    warnings: tuple[Fault, ...] = ()
    if names.site_rules is not None:
        # Import the analysis only for a proposed set: it is slow to import.
        from broker.configuration.policies import policy_properties  # noqa: PLC0415

        found = policy_properties.check_rules(loaded, names, now)
        failed = [*failed, *found.faults]
        warnings = found.warnings
    if failed:
        raise ConfigurationFaults(failed)
    return replace(loaded, warnings=(*loaded.warnings, *warnings)) if warnings else loaded


def _read_policies_in_force(found: FoundFiles, state: Path | None) -> list[Policy]:
    """Return the policies of the last good set whose files have changed or disappeared.

    Files of the last good set that are no longer well formed are ignored.
    """
    kept = last_good.last_good_files(state) if state else None
    changed = {
        name: octets
        for name, octets in (kept or {}).items()
        if found.files.get(name) != octets or name == policy_folder.SERVICES
    }
    return well_formed(changed, found.place)


def _promote_files(
    state: Path | None,
    files: Mapping[str, bytes],
    policies: PolicySet,
    record: RecordChange,
    before: str | None,
) -> PolicySet:
    """Store ``files`` as the last good set; a write error is only a warning.

    If the disk fails, each worker of the machine calls ``record``.
    """
    if state is None:
        return policies
    try:
        last_good.promote(state, files, record)
    except OSError as error:
        if before != policies.digest:
            record(before, policies.digest)
        what = f"the last good policies cannot be kept: {error.strerror}"
        fault = Fault(str(state), what)
        return replace(policies, warnings=(*policies.warnings, fault))
    return policies
