"""What an administrator's commands open and how they tell what went wrong."""

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from broker.adapters.saml.keys import key_ring
from broker.adapters.telling import application_log
from broker.app.assembly import Parts, assemble, now, read_config
from broker.app.enrolment_operations import NoEnrolment
from broker.app.person_operations import NoPerson
from broker.core.entities import Service
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.policy.model import PolicySet
from broker.core.stateless_references import ReferenceFacts, StatelessReferences
from broker.files import attribute_maps
from broker.files.policies import live_policies
from broker.files.settings import config
from broker.files.settings.raw_settings import PREFIX
from broker.files.settings.toml_and_environment import CONFIG
from broker.flows.login.support_traces import SupportTraces
from broker.flows.persons.forgetting import StillCarriedOut

_MENDS: Final = {
    "store_unavailable": (
        "see [store] url: its folder must be there and be yours to write, or its Redis answer"
    ),
    "library_unavailable": "see [library] url, and whether the library system is up",
}
# Without a configuration the files of the folder one stands in are meant.
_HERE: Final = Path("policies")


def trace(parts: Parts, reference: str) -> dict[str, str | None] | None:
    """Return what a page's reference stands for, or None.

    A stranger's reference says it by itself, whatever the store has.
    """
    stateless = StatelessReferences(parts.keys.index).read(reference, now())
    if stateless is not None:
        return _stranger(stateless)
    found = SupportTraces(parts.store).find(reference, now())
    if found is None:
        return None
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "step": found.step,
        "upstream": found.upstream,
        "reason": found.reason,
        "enrolment": found.enrolment,
    }


def _stranger(facts: ReferenceFacts) -> dict[str, str | None]:
    return {
        "at": facts.at.isoformat(timespec="minutes"),
        "step": facts.step or "another page",
        "upstream": None,
        "reason": facts.reason or "another reason; the log has it beside the reference",
        "enrolment": None,
    }


def configuration() -> config.Config:
    """Read the configuration; ConfigurationFaults, the first of which is that no file is named."""
    if CONFIG in os.environ:
        return read_config()
    mend = "set it to the path of a broker.toml; broker init DIR writes one"
    unset = Fault(CONFIG, "is not set", mend)
    if not any(name.startswith(PREFIX) for name in os.environ):
        raise ConfigurationFaults([unset])
    try:
        return read_config()
    except ConfigurationFaults as found:
        raise ConfigurationFaults([unset, *found.faults]) from None


def opened() -> Parts:
    """Open every part of the broker that is configured; ConfigurationFaults with all faults."""
    application_log.configure("stderr")
    try:
        settings = configuration()
    except ConfigurationFaults as found:
        if CONFIG not in os.environ:
            raise
        more = _faults_of_folders(Path(os.environ[CONFIG]))
        told_once = dict.fromkeys((*found.faults, *more))
        raise ConfigurationFaults(list(told_once)) from None
    return assemble(settings)


def _faults_of_folders(file: Path) -> list[Fault]:
    """Return the faults of keys, maps and policies, where broker.toml is at fault too."""
    try:
        folders = config.folders(file, os.environ)
    except ConfigurationFaults:
        return []  # told already
    readers: dict[str, Callable[[Path], object]] = {
        "keys": key_ring.load,
        "attribute_maps": attribute_maps.load,
        "policies": lambda folder: live_policies.load(folder, now()),
    }
    faults: list[Fault] = []
    for name, read in readers.items():
        if name in folders:
            try:
                read(folders[name])
            except ConfigurationFaults as found:
                faults.extend(found.faults)
    return faults


def account(error: Exception) -> list[Fault]:
    """Return what went wrong, where to look and how to mend it.

    Of an error that no code foresaw the type only is named: its text and traceback may quote
    anything, a CPR number too.
    """
    if isinstance(error, ConfigurationFaults):
        return [_mended(fault) for fault in error.faults]
    if isinstance(error, NoEnrolment):
        return [Fault("enrolment", str(error))]
    if isinstance(error, NoPerson | StillCarriedOut):
        return [Fault("person", str(error))]
    if isinstance(error, BrokerError):
        return [_mended(Fault(error.reason, str(error)))]
    if isinstance(error, OSError) and error.filename:
        return [Fault(str(error.filename), f"cannot be used: {error.strerror}")]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = frame.filename.rpartition("/")[2]
    kind = type(error).__name__
    what = f"{kind} at {file}:{frame.lineno}"
    return [Fault("unexpected", what, "please report this line")]


def _mended(fault: Fault) -> Fault:
    if fault.mend:
        return fault
    return replace(fault, mend=_MENDS.get(fault.where, ""))


def load_policies(folder: Path | None) -> PolicySet:
    """Load the policies of ``folder``, or those configured; ConfigurationFaults with all faults."""
    if folder is not None:
        return live_policies.load(folder, now())
    if CONFIG not in os.environ and _HERE.is_dir():
        return live_policies.load(_HERE, now())
    settings = configuration()
    maps = attribute_maps.load(settings.attribute_maps)
    # Whether one publishes a key to encrypt to stands in its metadata, which is not read here.
    services = {name: replace(settings.service(name), encrypts=True) for name in settings.services}
    names = live_policies.NameableInPolicies(
        services, maps.attributes, services, maps.maps, settings.upstreams
    )
    return live_policies.load(settings.policies, now(), names)


def run_examples(
    loaded: PolicySet,
    services: Mapping[str, Service] | None,
) -> list[live_policies.Result]:
    """Run every example of the policies."""
    return list(live_policies.run_examples(loaded, services, now()))
