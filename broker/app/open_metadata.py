"""Opens the configured metadata: the folder, the feeds and the keys that sign them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.saml.feeds.aggregates import FeedTrust
from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.metadata.live_metadata import LiveMetadata, feed_refreshes
from broker.adapters.saml.metadata.metadata_folder import FolderContents, MetadataFolder
from broker.adapters.saml.metadata.published_scopes import ScopeRecord
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.configuration.settings.config import Config
from broker.configuration.settings.federation_tables import FeedTable
from broker.core.errors import ConfigurationFaults, Fault, MessageRefused
from broker.core.events.broker_events import EventPort

_LARGEST_FEED: Final = 256 * 1024 * 1024  # bytes; eduGAIN has about 100 MB
_BIRK: Final = "https://birk.wayf.dk/birk.php/"  # docs/reference/wayf.md#birk
# The contents that this process read from each folder. Workers inherit them at the fork: a reload
# then keeps a party whose file an edit has just broken.
_folders: Final[dict[Path, FolderContents]] = {}


def open_metadata(settings: Config, tell: EventPort, now: datetime) -> LiveMetadata:
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
        trust=FeedTrust(tuple(keys), table.window, _LARGEST_FEED),
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
