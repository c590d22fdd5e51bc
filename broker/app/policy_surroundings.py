"""What policies stand on, loaded once for check, start and reload: metadata, maps, names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from broker.adapters.library_systems.entry_points import borrower_fields
from broker.adapters.saml.metadata.live_metadata import LiveMapping, LiveMetadata
from broker.app import open_metadata
from broker.core.entities import Service, Upstream
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.event_routes import TellPort
from broker.files import attribute_maps
from broker.files.policies.configured_names import NameableInPolicies
from broker.files.settings.config import Config

T = TypeVar("T")


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

    def amiss(self, moment: datetime) -> tuple[str, ...]:
        """Return what is wrong with metadata, in sentences: less is known than is configured."""
        return tuple(self.metadata.amiss(moment).values()) if self.metadata else ()


def load(settings: Config, tell: TellPort, moment: datetime) -> PolicySurroundings:
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
