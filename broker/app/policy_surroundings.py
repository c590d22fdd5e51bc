"""Loads what policies are checked against: metadata, attribute maps and library settings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar, cast

from werkzeug.local import LocalProxy

from broker.adapters.library_systems.library_settings import LibrarySettings, read_settings
from broker.adapters.saml.feeds.aggregates import Trust
from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.metadata.live_metadata import LiveMetadata, feed_refreshes
from broker.adapters.saml.metadata.metadata_folder import FolderContents, MetadataFolder
from broker.adapters.saml.metadata.published_scopes import ScopeRecord
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.configuration import attribute_maps
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.configuration.settings.config import Config
from broker.configuration.settings.federation_tables import FeedTable
from broker.core.entities import Service, Upstream
from broker.core.errors import BrokerError, ConfigurationFaults, Fault, MessageRefused
from broker.core.events.broker_events import EventPort

T = TypeVar("T")
_LARGEST_FEED: Final = 256 * 1024 * 1024  # bytes; eduGAIN has about 100 MB
_BIRK: Final = "https://birk.wayf.dk/birk.php/"  # docs/reference/wayf.md#birk
# The contents that this process read from each folder. Workers inherit them at the fork: a reload
# then keeps a party whose file an edit has just broken.
_folders: Final[dict[Path, FolderContents]] = {}


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
    settings: Config, tell: EventPort, moment: datetime, *, proving: bool = True
) -> PolicySurroundings:
    """Return the surroundings of policies with all their faults; raise nothing.

    ``proving``: policies must meet the site rules too.
    """
    faults: list[Fault] = []
    metadata = collect_faults(faults, lambda: _open_metadata(settings, tell, moment))
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
        site_rules=settings.policy_properties if proving else None,
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


def _open_metadata(settings: Config, tell: EventPort, now: datetime) -> LiveMetadata:
    """Return the present metadata. A feed without a copy on this machine is fetched.

    Raises ConfigurationFaults if the key of a feed cannot be used. A party or a feed that cannot be
    used is no such fault: ``LiveMetadata.alarms`` names it, and its last good copy stays in force.
    """
    faults: list[Fault] = []
    feeds = [_read_feed(name, table, faults) for name, table in settings.feeds.items()]
    if faults:
        raise ConfigurationFaults(faults)
    upstreams, services = settings.core_upstreams(), settings.core_services()
    upstream_feeds = {name: table.feed for name, table in settings.upstreams.items()}
    service_feeds = {name: table.feed for name, table in settings.services.items()}
    wanted = WantedEntities(upstreams, services, upstream_feeds, service_feeds, feeds)
    path = settings.metadata
    folder = MetadataFolder(path, wanted.list_folder_ids(), _folders.get(path))
    _folders[path] = folder.contents
    state = settings.state / "metadata"
    live = LiveMetadata(
        folder,
        wanted,
        list(feed_refreshes(folder.contents, wanted, state)),
        tell,
        now,
        record=ScopeRecord(state / "scopes.json"),
    )
    if live.has_missing_copy:
        live.refresh(now)
    return live


def _read_feed(name: str, table: FeedTable, faults: list[Fault]) -> Feed:
    keys: list[VerifyKey] = []
    for path in table.pins:
        keys.extend(_load_pinned_keys(path, f"feeds.{name}.pins", faults))
    return Feed(
        name=name,
        url=table.url,
        trust=Trust(tuple(keys), table.window, _LARGEST_FEED),
        mdq=table.mdq,
        speaks_for=frozenset(table.speaks_for),
        ca_file=table.ca_file,
        birk_prefix=_BIRK,
    )


def _load_pinned_keys(path: Path, where: str, faults: list[Fault]) -> Iterator[VerifyKey]:
    """Load a public key, or the key of a certificate whatever its dates (SDP-MD06)."""
    try:
        yield VerifyKey.load(path.read_bytes())
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        faults.append(Fault(where, f"{path.name} {what}", "name a PEM file"))
    except MessageRefused as refused:
        what = "is no certificate or public key"
        if refused.cause == "xml.weak_key":
            what = "holds a key below RSA 2048 or EC 256 bits"
        fix = "take the one that the feed's publisher has published"
        faults.append(Fault(where, f"{path.name} {what}", fix))


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
