"""Load policies/ and keep a good set in force: a bad edit changes nothing."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from broker.configuration.checked_files import S, validate_node
from broker.configuration.garbage_pause import pause_garbage_collection
from broker.configuration.policies import last_good, policy_folder, site_checks
from broker.configuration.policies.examples import find_failed_examples, run_examples
from broker.configuration.policies.file_checks import make_faults
from broker.configuration.policies.file_schema import PolicyShape, Services, ServicesShape
from broker.configuration.policies.policy_folder import (
    SERVICES,
    FoundFiles,
    PolicyFolder,
    file_marks,
)
from broker.configuration.policies.site_checks import ANY_NAMES, NameableInPolicies
from broker.configuration.strict_yaml import read
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort, Facts, discard_event
from broker.core.policy.model import Policy, PolicySet

DIGEST_LENGTH: Final = 12  # characters of a policy digest in logs, metrics and pages


def load(
    folder: Path, now: datetime, names: NameableInPolicies = ANY_NAMES, state: Path | None = None
) -> PolicySet:
    """Return the policies of ``folder``.

    Raise ConfigurationFaults with all faults of all files, including failed examples, and
    affiliations of the last good set in ``state`` that disappear without a line in ``REMOVED``.
    """
    kept = last_good.last_good_files(state) if state else None
    in_force, _ = _compile_files(kept or {}, folder.name)
    return _load_files(PolicyFolder(folder).files(), now, names, in_force)


@pause_garbage_collection()
def _load_files(
    found: FoundFiles, now: datetime, names: NameableInPolicies, in_force: Iterable[Policy]
) -> PolicySet:
    """Return the policies of ``found``; raise ConfigurationFaults as ``load``."""
    policies = compile_set(found, now, names, in_force)
    failures = find_failures(policies, found.place, now, names)
    if failures:
        raise ConfigurationFaults(failures)
    return policies


def compile_set(
    found: FoundFiles,
    now: datetime,
    names: NameableInPolicies = ANY_NAMES,
    in_force: Iterable[Policy] = (),
) -> PolicySet:
    """Compile and check policy files, and run no example; raise ConfigurationFaults."""
    folder = found.place
    policies, faults = _compile_files(found.files, folder)
    problems, warnings = site_checks.find_problems(policies, now, names)
    faults += [*make_faults(folder, problems), *found.misnamed]
    faults = faults or list(policy_folder.find_missing_affiliations(found, policies, in_force))
    if faults:
        raise ConfigurationFaults(faults)
    if names.person_register is False:
        policies = list(map(_drop_register, policies))
    return PolicySet(tuple(policies), found.digest, tuple(make_faults(folder, warnings)))


def _compile_files(files: Mapping[str, bytes], folder: str) -> tuple[list[Policy], list[Fault]]:
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
    faults = tuple(make_faults(folder, shape.find_faults(services)))
    if faults:
        raise ConfigurationFaults(faults)
    return shape.policy(services)


def _read_shape(shape: type[S], name: str, octets: bytes, folder: str) -> S:
    path = f"{folder}/{name}"
    return validate_node(shape, read(octets, path), path, context=name)


def find_failures(
    policies: PolicySet, folder: str, now: datetime, names: NameableInPolicies
) -> tuple[Fault, ...]:
    """Return the failed examples of a set, and the site rules that it breaks."""
    failed = tuple(make_faults(folder, find_failed_examples(run_examples(policies, now))))
    if names.site_rules is None:
        return failed
    # Import the analysis only for a proposed set: it is slow to import.
    from broker.configuration.policies import policy_properties  # noqa: PLC0415

    return (*failed, *policy_properties.find_broken_rules(policies, names, now))


def _drop_register(policy: Policy) -> Policy:
    """Return the policy without its register rule: no register is configured."""
    if policy.borrower is None or policy.borrower.register is None:
        return policy
    return replace(policy, borrower=replace(policy.borrower, register=None))


class LivePolicies:
    """The policy set in force: a good edit replaces it at once, a bad one sets ``file_faults``."""

    def __init__(
        self,
        folder: Path,
        names: NameableInPolicies,
        now: datetime,
        *,
        state: Path | None = None,
        tell: EventPort = discard_event,
    ) -> None:
        """Start with the policies of ``folder``, or with the last good set in ``state``.

        ``tell`` gets the faults of a bad edit, their correction and each change of the set. It gets
        POLICIES_LOADED once on each machine, before the new set is in force. Raise
        ConfigurationFaults (exit code 78) if neither set is valid (docs/reference/design.md#6).
        """
        self._folder = PolicyFolder(folder)
        self._names = names
        self._state = state
        self._tell = tell
        # Before reading: an edit meanwhile is seen at the first refresh.
        self._seen = self._file_state()
        kept = last_good.last_good_files(state) if state else None
        in_force, _ = _compile_files(kept or {}, folder.name)
        faults: tuple[Fault, ...] = ()
        try:
            policies = self._load_at_start(now, in_force)
        except ConfigurationFaults as refused:
            faults = refused.faults
            if not kept:
                raise
            try:
                # Run no examples: one that fails only because time has passed must not prevent the
                # start.
                policies = compile_set(FoundFiles(kept, folder.name), now, names)
            except ConfigurationFaults:
                raise refused from None
        # One attribute, so that a reader gets a set with its own faults.
        self._held = (policies, faults)
        self._tell_faults()

    @property
    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._held[0]

    @property
    def file_faults(self) -> tuple[Fault, ...]:
        """Return the faults of the files; none if they are the set in force."""
        return self._held[1]

    def refresh(self, now: datetime) -> PolicySet:
        """Load the files if they have changed, and return the set in force.

        An unexpected error, such as a full disk, is raised for the caller to log, and the next
        refresh loads the files again. Requests never call this method: they read ``current``.
        """
        seen = self._file_state()
        if seen != self._seen:
            self._reload(now)
            self._seen = seen
        return self.current

    def _file_state(self) -> object:
        """Return a value that changes when the policy files or the site rules change."""
        rules = self._names.site_rules
        return self._folder.file_state(), file_marks(rules) if rules else None

    def _reload(self, now: datetime) -> None:
        policies, faults_before = self._held
        before = policies.digest
        faults: tuple[Fault, ...] = ()
        try:
            policies = self._load(now, policies.policies)
        except ConfigurationFaults as refused:
            faults = refused.faults
        self._held = (policies, faults)
        if faults != faults_before:
            self._tell_faults()
            if not faults:
                self._tell(BrokerEvent(EventKind.POLICIES_RECOVERED))
        if policies.digest != before:
            facts: Facts = {
                "digest": policies.digest[:DIGEST_LENGTH],
                "from": before[:DIGEST_LENGTH],
                "worker": os.getpid(),
            }
            self._tell(BrokerEvent(EventKind.POLICIES_CHANGED, facts))

    def _tell_faults(self) -> None:
        for fault in self.file_faults:
            self._tell(BrokerEvent(EventKind.POLICIES_STALE, {"fault": str(fault)}))

    def _load_at_start(self, now: datetime, in_force: Iterable[Policy]) -> PolicySet:
        try:
            return self._load(now, in_force)
        except OSError as error:
            what = f"the last good policies cannot be kept: {error.strerror}"
            raise ConfigurationFaults([Fault(str(self._state), what)]) from None

    def _load(self, now: datetime, in_force: Iterable[Policy]) -> PolicySet:
        """Load the files, and keep them as the last good set.

        Raise ConfigurationFaults, and OSError if they cannot be kept.
        """

        def record(before: str | None, after: str) -> None:
            base = before[:DIGEST_LENGTH] if before else None
            digest = after[:DIGEST_LENGTH]
            self._tell(AuditEvent(AuditEventKind.POLICIES_LOADED, now, digest=digest, base=base))

        found = self._folder.files()
        policies = _load_files(found, now, self._names, in_force)
        if self._state:
            last_good.promote(self._state, found.files, record)
        return policies
