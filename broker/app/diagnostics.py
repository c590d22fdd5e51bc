"""What an administrator's commands open and how they tell what went wrong."""

import os
from collections.abc import Callable
from pathlib import Path

from broker.adapters.observability import application_log
from broker.adapters.saml.keys import key_ring
from broker.app.assembly import Parts, assemble, now
from broker.app.named_configuration import configuration
from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies
from broker.configuration.settings import config
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.help_codes import ReferenceFacts, StatelessReferences
from broker.use_cases.login.support_traces import SupportTraces

_Reader = Callable[[Path], object]


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
    }


def _stranger(facts: ReferenceFacts) -> dict[str, str | None]:
    return {
        "at": facts.at.isoformat(timespec="minutes"),
        "step": facts.step or "another page",
        "upstream": None,
        "reason": facts.reason or "another reason; the log has it beside the reference",
    }


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
    readers: dict[str, _Reader] = {
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
