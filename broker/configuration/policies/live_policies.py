"""Reads policies/: all files or none, examples run, and the last good set through a bad edit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from broker.configuration.policies import last_good, policy_folder, site_checks
from broker.configuration.policies.compiled_files import CompiledFiles
from broker.configuration.policies.example_failures import failures, unlike_live_logins
from broker.configuration.policies.examples import Result, run_examples
from broker.configuration.policies.file_checks import faults_at
from broker.configuration.policies.policy_folder import FoundFiles, PolicyFolder, file_marks
from broker.configuration.policies.site_checks import ANY_NAMES, NameableInPolicies
from broker.configuration.uncollected import uncollected
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

# What ended by no fault of the files, as a disk that is full for a while.
_TRIED_EVERY: Final = timedelta(seconds=10)

LetOthersRun = Callable[[], None]
# Hears the digest of the set before, and of the one that replaces it.
TellChange = Callable[[str, str], None]
# Writes the same into the audit log, before the set decides; AuditUnavailable.
RecordChange = Callable[[str | None, str], None]


def _record_nothing(_before: str | None, _after: str) -> None:
    pass


def load(
    folder: Path, now: datetime, names: NameableInPolicies = ANY_NAMES, state: Path | None = None
) -> PolicySet:
    """Return the policies of ``folder``.

    ConfigurationFaults with every fault of every file, failed examples included, and for every
    affiliation of the last good set in ``state`` that goes without a word.
    """
    found = PolicyFolder(folder).files()
    return _parsed(found, now, names, _in_force(found, state))


def load_found(
    found: FoundFiles,
    now: datetime,
    names: NameableInPolicies = ANY_NAMES,
    in_force: Iterable[Policy] = (),
    let_others_run: LetOthersRun = lambda: None,
) -> PolicySet:
    """Return the policies of files that were read already; ConfigurationFaults as ``load``.

    ``let_others_run`` is called every few milliseconds.
    """
    return _parsed(found, now, names, in_force, let_others_run)


def well_formed(files: Mapping[str, bytes], place: str) -> list[Policy]:
    """Return the policies of the files that are well formed; nothing else is checked."""
    return CompiledFiles().compiled(files, place, lambda: None)[0]


def load_or_last_good(
    folder: Path,
    state: Path | None,
    now: datetime,
    names: NameableInPolicies = ANY_NAMES,
    *,
    compiled: CompiledFiles | None = None,
    record: RecordChange = _record_nothing,
) -> tuple[PolicySet, tuple[Fault, ...]]:
    """Return the policies of ``folder``, promoted; or the last good ones and the faults.

    ``compiled`` remembers the files for the next load, ``record`` hears of another set as
    ``last_good.promote`` says. ConfigurationFaults (exit code 78) where neither is valid
    (docs/reference/design.md#6).
    """
    try:
        found = PolicyFolder(folder).files()
        policies = _parsed(found, now, names, _in_force(found, state), compiled=compiled)
    except ConfigurationFaults as refused:
        kept = last_good.last_good_files(state) if state else None
        if not kept:
            raise
        try:
            # They were good once: what only time has changed (a domain's ``until``) must not end
            # every login.
            good = FoundFiles(kept, folder.name, binding=False)
            return _parsed(good, now, names, compiled=compiled), refused.faults
        except ConfigurationFaults:
            raise refused from None
    return _promoted(state, found.files, policies, record, None), ()


class LivePolicies:
    """The policy set in force: a good edit replaces it at once, a bad one only sets ``stale``."""

    def __init__(
        self,
        folder: PolicyFolder,
        held: tuple[PolicySet, tuple[Fault, ...]],
        *,
        seen: object,
        names: NameableInPolicies,
        state: Path | None,
        tell: Callable[[tuple[Fault, ...]], None],
        changed: TellChange,
        compiled: CompiledFiles,
        record: RecordChange,
    ) -> None:
        """Begin with the set and faults of ``held``; ``seen`` is the signature of the files then.

        ``tell`` gets the faults of a bad edit, ``changed`` the digests of the set before and after.
        ``compiled`` remembers the files that ``held`` is made of. ``record`` writes each change
        into the audit log.
        """
        self._folder = folder
        self._state = state
        self._names = names
        self._tell = tell
        self._changed = changed
        self._compiled = compiled
        self._record = record
        self._held = held
        self._seen = seen
        self._reloading = Lock()
        self._try_again_from: datetime | None = None

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
        """Begin with ``load_or_last_good``; ``tell`` gets a bad edit's faults, () once mended.

        ``changed`` gets the digests before and after, of an edit while nothing ran too. ``record``
        gets them once on each machine, before the new set decides: ``last_good.promote``.
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
        return cls(
            read,
            held,
            seen=seen,
            names=names,
            state=state,
            tell=tell,
            changed=changed,
            compiled=compiled,
            record=record,
        )

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

        What nobody foresaw is raised, for the caller to tell, and tried again after ten seconds.
        Never called by a request: a request reads ``current``. ``let_others_run`` is called every
        few milliseconds of a load.
        """
        if not self._reloading.acquire(blocking=False):
            return self._held[0]
        try:
            seen = _signature(self._folder, self._names)
            if seen != self._seen or self._is_due(now):
                self._seen = seen
                self._try_again_from = now
                self._reload(now, let_others_run)
                self._try_again_from = None
        finally:
            self._reloading.release()
        return self._held[0]

    def _is_due(self, now: datetime) -> bool:
        """Return whether a load that ended by no fault of the files is to be tried again."""
        ended = self._try_again_from
        return ended is not None and abs(now - ended) >= _TRIED_EVERY

    def _reload(self, now: datetime, let_others_run: LetOthersRun) -> None:
        policies, faults_before = self._held
        before = policies.digest
        faults: tuple[Fault, ...] = ()
        try:
            found = self._folder.files()
            parsed = _parsed(
                found, now, self._names, policies.policies, let_others_run, compiled=self._compiled
            )
            policies = _promoted(self._state, found.files, parsed, self._record, before)
        except ConfigurationFaults as found:
            faults = found.faults
        self._held = (policies, faults)
        if faults != faults_before:
            self._tell(faults)
        if policies.digest != before:
            self._changed(before, policies.digest)


def _signature(folder: PolicyFolder, names: NameableInPolicies) -> object:
    """Return what differs once the files do, or the rules that they are held against."""
    return folder.signature(), file_marks(names.site_rules) if names.site_rules else None


def _parsed(
    found: FoundFiles,
    now: datetime,
    names: NameableInPolicies,
    in_force: Iterable[Policy] = (),
    let_others_run: LetOthersRun = lambda: None,
    *,
    compiled: CompiledFiles | None = None,
) -> PolicySet:
    """Parse, check and try the files; failed examples are faults if they bind, else warnings."""
    with uncollected():
        remembering = compiled or CompiledFiles()
        policies, faults = remembering.compiled(found.files, found.place, let_others_run)
        faults += faults_at(found.place, site_checks.find_problems(policies, names))
        faults += found.misnamed
        if not faults:
            faults += policy_folder.unannounced(found, policies, in_force)
        if faults:
            raise ConfigurationFaults(faults)
        unused = faults_at(found.place, remembering.find_unused_services(policies))
        loaded = _tried(found, policies, now, names, let_others_run)
        return replace(loaded, warnings=(*loaded.warnings, *unused))


def _tried(
    found: FoundFiles,
    policies: list[Policy],
    now: datetime,
    names: NameableInPolicies,
    let_others_run: LetOthersRun,
) -> PolicySet:
    folder = found.place
    warnings = [
        *faults_at(folder, site_checks.find_warnings(policies, now, names)),
        *policy_folder.unneeded(found, policies),
    ]
    if names.person_register is False:
        policies = list(map(_without_register, policies))
    loaded = PolicySet(tuple(policies), last_good.digest(found.files), tuple(warnings))
    results = run_examples(loaded, None, now, let_others_run)
    unlike = tuple(faults_at(folder, unlike_live_logins(results, names)))
    loaded = replace(loaded, warnings=(*loaded.warnings, *unlike))
    failed = list(faults_at(folder, failures(loaded, results, now.date())))
    if found.binding:
        return _judged(loaded, failed, names, now, let_others_run)
    return replace(loaded, warnings=(*loaded.warnings, *failed)) if failed else loaded


def _without_register(policy: Policy) -> Policy:
    """Return the policy where no register is configured: no page says that one is asked."""
    if policy.borrower is None or policy.borrower.register is None:
        return policy
    return replace(policy, borrower=replace(policy.borrower, register=None))


def _judged(
    loaded: PolicySet,
    failed: list[Fault],
    names: NameableInPolicies,
    now: datetime,
    let_others_run: LetOthersRun,
) -> PolicySet:
    """Hold a proposed set against the site rules; a set in force was, when it was put there."""
    warnings: tuple[Fault, ...] = ()
    if names.site_rules is not None:
        # Imported where a set is proposed: most loads prove nothing.
        from broker.configuration.policies import policy_properties  # noqa: PLC0415

        found = policy_properties.judged(loaded, names, now, let_others_run)
        failed = [*failed, *found.faults]
        warnings = found.warnings
    if failed:
        raise ConfigurationFaults(failed)
    return replace(loaded, warnings=(*loaded.warnings, *warnings)) if warnings else loaded


def _in_force(found: FoundFiles, state: Path | None) -> list[Policy]:
    """Return the policies of the last good set whose files are not among those found.

    What is found unchanged lacks nothing; a set that an older release kept, and that is no more
    well formed, is compared with nothing.
    """
    kept = last_good.last_good_files(state) if state else None
    changed = {
        name: octets
        for name, octets in (kept or {}).items()
        if found.files.get(name) != octets or name == policy_folder.SERVICES
    }
    return well_formed(changed, found.place)


def _promoted(
    state: Path | None,
    files: Mapping[str, bytes],
    policies: PolicySet,
    record: RecordChange,
    before: str | None,
) -> PolicySet:
    """Store ``files`` as the last good set; a disk that refuses is a warning: the set is good.

    Without the disk every worker of the machine calls ``record``.
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
