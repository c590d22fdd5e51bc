"""Opens the metadata that the configuration names: the folder, the feeds and their pinned keys."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from broker.adapters.saml.feeds.aggregates import Trust
from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.feeds.feed_refresh import FetchOutcome
from broker.adapters.saml.metadata.live_metadata import LiveMetadata, PartyChange, feed_refreshes
from broker.adapters.saml.metadata.metadata_folder import FolderContents, MetadataFolder
from broker.adapters.saml.metadata.published_scopes import ScopeRecord
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.configuration.settings.config import Config
from broker.configuration.settings.federation_tables import FeedTable
from broker.core.entities import Service
from broker.core.errors import ConfigurationFaults, Fault, MessageRefused
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort

_LARGEST_FEED: Final = 256 * 1024 * 1024  # octets; eduGAIN has some 100 MB
_BIRK: Final = "https://birk.wayf.dk/birk.php/"  # docs/reference/wayf.md#birk
# What this process has read of each folder. A worker inherits it at the fork, so that a reload does
# not lose a party whose file an edit has just broken.
_folders: Final[dict[Path, FolderContents]] = {}


def services(settings: Config) -> Mapping[str, Service]:
    """Return the services as broker.toml describes them, by name."""
    return {name: settings.service(name) for name in settings.services}


def opened(settings: Config, tell: EventPort, now: datetime) -> LiveMetadata:
    """Return the metadata of the moment; a feed without a copy on this machine is fetched.

    ConfigurationFaults where a pin cannot be used. A party or a feed that cannot be used is none:
    it is told by ``LiveMetadata.alarms``, its last good copy is in force, or it is left out until
    there is a good one.
    """
    faults: list[Fault] = []
    feeds = [_feed(name, table, faults) for name, table in settings.feeds.items()]
    if faults:
        raise ConfigurationFaults(faults)
    upstreams = {name: settings.upstream(name) for name in settings.upstreams}
    named_feeds = {name: table.feed for name, table in settings.upstreams.items()}
    service_feeds = {name: table.feed for name, table in settings.services.items()}
    wanted = WantedEntities(upstreams, services(settings), named_feeds, service_feeds)
    path = settings.metadata
    folder = MetadataFolder(path, wanted.in_folder(feeds), _folders.get(path))
    _folders[path] = folder.contents
    state = settings.state / "metadata"
    live = LiveMetadata(
        folder,
        wanted,
        list(feed_refreshes(feeds, folder.contents, wanted, state)),
        partial(_tell, tell),
        now,
        record=ScopeRecord(state / "scopes.json"),
    )
    if live.wanting:
        live.refresh(now)
    return live


def _feed(name: str, table: FeedTable, faults: list[Fault]) -> Feed:
    keys: list[VerifyKey] = []
    for path in table.pins:
        keys.extend(_pinned(path, f"feeds.{name}.pins", faults))
    if table.ca_file and not table.ca_file.is_file():
        what = f"{table.ca_file.name} is no file"
        faults.append(Fault(f"feeds.{name}.ca_file", what, "name a file of certificates"))
    return Feed(
        name=name,
        url=table.url,
        trust=Trust(tuple(keys), table.window, _LARGEST_FEED),
        mdq=table.mdq,
        speaks_for=frozenset(table.speaks_for),
        ca_file=table.ca_file,
        birk=_BIRK,
    )


def _pinned(path: Path, where: str, faults: list[Fault]) -> Iterator[VerifyKey]:
    """Load the key of a certificate, whose dates do not matter here, or a public key (SDP-MD06)."""
    try:
        yield VerifyKey.load_pinned(path.read_bytes())
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        faults.append(Fault(where, f"{path.name} {what}", "name a PEM file"))
    except MessageRefused as refused:
        what = "is no certificate or public key"
        if refused.cause == "xml.weak_key":
            what = "holds a key below RSA 2048 or EC 256 bits"
        fix = "take the one that the feed's publisher has published"
        faults.append(Fault(where, f"{path.name} {what}", fix))


def _tell(tell: EventPort, news: FetchOutcome | PartyChange) -> None:
    """Tell the outcome of a fetch, or that a party was lost or came back."""
    if isinstance(news, FetchOutcome):
        _tell_fetched(tell, news)
    elif news.fault is None:
        tell(BrokerEvent(EventKind.METADATA_RECOVERED, {"party": news.name}))
    else:
        lost = {"party": news.name, "fault": news.fault}
        tell(BrokerEvent(EventKind.METADATA_LOST, lost))


def _tell_fetched(tell: EventPort, outcome: FetchOutcome) -> None:
    """Tell the outcome of a fetch, and apart from it what is news."""
    feed = outcome.feed
    tell(BrokerEvent(EventKind.METADATA_FETCHED, {"feed": feed, "result": outcome.result}))
    facts = {"feed": feed, "entity": outcome.entity_id}
    if outcome.result in {"refused", "older"}:
        refused = {**facts, "reason": outcome.cause}
        tell(BrokerEvent(EventKind.METADATA_REFUSED, refused))
    elif outcome.result == "new" or outcome.mended:
        renewed = {**facts, "mended": int(outcome.mended)}
        tell(BrokerEvent(EventKind.METADATA_RENEWED, renewed))
