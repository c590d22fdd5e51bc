"""The policies as commands and a start check them: against metadata, attribute maps and names."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from broker.adapters.library_systems.library_settings import borrower_fields, open_library
from broker.adapters.saml.metadata.live_metadata import LiveMapping, LiveMetadata
from broker.app import open_metadata
from broker.app.named_configuration import configuration
from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies
from broker.configuration.policies.configured_names import NameableInPolicies
from broker.configuration.settings.config import Config
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.borrowers.library_system import ExpectedSetup
from broker.core.entities import Service, Upstream
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.events.broker_events import EventPort, discard_event
from broker.core.policy.model import PolicySet

T = TypeVar("T")
_PATIENCE: Final = timedelta(seconds=10)  # with the library system, at a check of policies
_UNAVAILABLE: Final = "unavailable"  # the setting of a fault, where the library system is down


@dataclass(frozen=True, slots=True)
class PolicySurroundings:
    """The parts of a configuration that policies are checked against, and what they lack.

    ``services`` and ``upstreams`` are as the metadata of the moment completes them; a part that
    cannot be loaded is None, and nothing is checked against it.
    """

    metadata: LiveMetadata | None
    maps: attribute_maps.AttributeMaps | None
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    names: NameableInPolicies
    faults: tuple[Fault, ...]
    site_rules: Path

    @property
    def proving(self) -> NameableInPolicies:
        """Return the names with the site rules, for a set that is proposed."""
        return replace(self.names, site_rules=self.site_rules)

    def metadata_warnings(self, moment: datetime) -> tuple[str, ...]:
        """Return what is wrong with metadata, in sentences: less is known than is configured."""
        return tuple(self.metadata.amiss(moment).values()) if self.metadata else ()


def load(settings: Config, tell: EventPort, moment: datetime) -> PolicySurroundings:
    """Return what policies are checked against; it raises nothing, for all faults come at once."""
    faults: list[Fault] = []
    metadata = tried(faults, lambda: open_metadata.opened(settings, tell, moment))
    maps = tried(faults, lambda: _maps(settings))
    services = open_metadata.services(settings)
    upstreams: Mapping[str, Upstream]
    upstreams = {name: settings.upstream(name) for name in settings.upstreams}
    if metadata:
        services = LiveMapping(lambda: metadata.snapshot.services)
        upstreams = LiveMapping(lambda: metadata.current.completed_upstreams)
    names = NameableInPolicies(
        services=services,
        attributes=maps.attributes if maps else None,
        configured=services,
        maps=maps.maps if maps else None,
        upstreams=upstreams,
        borrower_fields=fields_of_library(settings),
        desk_categories=settings.library.desk_categories,
        person_register=settings.person_register is not None,
    )
    rules = settings.policy_properties
    return PolicySurroundings(metadata, maps, services, upstreams, names, tuple(faults), rules)


def tried(faults: list[Fault], opening: Callable[[], T]) -> T | None:
    """Return what ``opening`` opens, or None with its faults added to ``faults``."""
    try:
        return opening()
    except ConfigurationFaults as found:
        faults.extend(found.faults)
    except BrokerError as error:
        faults.append(Fault(error.reason, str(error)))
    return None


def _maps(settings: Config) -> attribute_maps.AttributeMaps:
    maps = attribute_maps.load(settings.attribute_maps)
    upstreams = [settings.upstream(name) for name in settings.upstreams]
    faults = list(attribute_maps.map_faults(upstreams, maps))
    if faults:
        raise ConfigurationFaults(faults)
    return maps


def fields_of_library(settings: Config) -> frozenset[str] | None:
    """Ask the connector for its fields; None where it cannot be opened, which is told with it."""
    table = settings.library
    try:
        return borrower_fields(table.system, table.connector_settings())
    except ConfigurationFaults:
        return None


# Without a configuration the files of the folder one stands in are meant.
HERE: Final = Path("policies")
_UNNAMED: Final = f"names are not checked: set {CONFIG}"


@dataclass(frozen=True, slots=True)
class CheckedPolicies:
    """A sound set of policies, and in sentences what an administrator should look at.

    ``surroundings`` are what it was checked against, None without a configuration.
    """

    policies: PolicySet
    warnings: tuple[str, ...]
    surroundings: PolicySurroundings | None = None


def default_folder() -> Path:
    """Return the configured folder; ./policies where nothing is configured. ConfigurationFaults."""
    return HERE if CONFIG not in os.environ and HERE.is_dir() else configuration().policies


def load_checked(
    folder: Path | None, moment: datetime, *, proving: bool = False
) -> CheckedPolicies:
    """Load the policies of ``folder``, or those configured, against all that is configured.

    What is in force on this machine is among it: no affiliation of it goes without a word.
    ConfigurationFaults with all faults. Without a configuration any name will do, which is among
    the warnings. Where it is ``proving`` the policies are held against the site rules too.
    """
    if CONFIG not in os.environ and (folder is not None or HERE.is_dir()):
        loaded = live_policies.load(folder or HERE, moment)
        warnings = (_UNNAMED, *map(str, loaded.warnings))
        return CheckedPolicies(loaded, warnings)
    settings = configuration()
    found = load(settings, discard_event, moment)
    faults = list(found.faults)
    read = folder or settings.policies
    names = found.proving if proving else found.names
    state = settings.state / "policies"
    checked = tried(faults, lambda: live_policies.load(read, moment, names, state))
    if checked is None or faults:
        raise ConfigurationFaults(faults)
    warnings = (*map(str, checked.warnings), *found.metadata_warnings(moment))
    return CheckedPolicies(checked, warnings, found)


def check_categories(
    settings: Config, policies: PolicySet, moment: datetime
) -> tuple[tuple[str, ...], str]:
    """Ask the library system whether it has every category of ``policies``.

    Return what it lacks, and a note where it could not be asked.
    """
    table = settings.library
    library = open_library(table.system, table.connector_settings(), lambda *_: None)
    faults = library.prove(ExpectedSetup.of(policies), moment + _PATIENCE)
    if any(fault.setting == _UNAVAILABLE for fault in faults):
        return (), f"categories were not checked: {table.url} does not answer"
    return tuple(f"library: {fault}" for fault in faults), ""
