"""Loads what policies are checked against: metadata, attribute maps and library settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from werkzeug.local import LocalProxy

from broker.adapters.library_systems.library_settings import LibrarySettings, read_settings
from broker.adapters.saml.metadata.live_metadata import LiveMetadata
from broker.configuration import attribute_maps
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.configuration.settings.config import Config
from broker.core.entities import Service, Upstream
from broker.core.errors import BrokerError, ConfigurationFaults, Fault

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PolicySurroundings:
    """The parts of a configuration that policies are checked against, with their faults.

    ``services`` and ``upstreams`` are as the current metadata completes them. A part that cannot
    be loaded is None, and nothing is checked against it.
    """

    metadata: LiveMetadata | None
    maps: attribute_maps.AttributeMaps | None
    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    names: NameableInPolicies
    faults: tuple[Fault, ...]


def load(
    settings: Config, open_metadata: Callable[[], LiveMetadata], *, proving: bool = True
) -> PolicySurroundings:
    """Return the surroundings of policies with all their faults; raise nothing.

    ``open_metadata`` is called once, and its faults are kept. ``proving``: policies must meet the
    site rules too.
    """
    faults: list[Fault] = []
    metadata = collect_faults(faults, open_metadata)
    maps = collect_faults(faults, lambda: _load_maps(settings))
    library = collect_faults([], lambda: read_library_settings(settings))
    services: Mapping[str, Service] = settings.core_services()
    upstreams: Mapping[str, Upstream] = settings.core_upstreams()
    if metadata:
        services = _follow(lambda: metadata.snapshot.services)
        upstreams = _follow(lambda: metadata.current.completed_upstreams)
    names = NameableInPolicies(
        services=services,
        attributes=maps.attributes if maps else None,
        maps=maps.maps if maps else None,
        upstreams=upstreams,
        # A fault of the library system is one of the start, and not of the policies.
        borrower_fields=library.fields if library else None,
        person_register=settings.person_register is not None,
        site_rules=settings.site_rules_file if proving else None,
    )
    return PolicySurroundings(metadata, maps, services, upstreams, names, tuple(faults))


def collect_faults(faults: list[Fault], opening: Callable[[], T]) -> T | None:
    """Return the result of ``opening``, or None with its faults added to ``faults``."""
    try:
        return opening()
    except ConfigurationFaults as found:
        faults.extend(found.faults)
    except BrokerError as error:
        faults.append(Fault(error.reason, str(error)))
    return None


def _follow(current: Callable[[], T]) -> T:
    """Return a proxy that calls ``current`` at each use."""
    return cast("T", LocalProxy(current))


def _load_maps(settings: Config) -> attribute_maps.AttributeMaps:
    maps = attribute_maps.load(settings.attribute_maps)
    faults = list(attribute_maps.map_faults(settings.core_upstreams().values(), maps))
    if faults:
        raise ConfigurationFaults(faults)
    return maps


def read_library_settings(settings: Config) -> LibrarySettings:
    """Return the settings of the library system; raises ConfigurationFaults."""
    table = settings.library
    return read_settings(table.system, table.connector_settings())
