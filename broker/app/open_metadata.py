"""Opens the metadata that the configuration names: the folder, the feeds and their pinned keys."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from broker.adapters.saml.gate.signature import VerifyKey
from broker.adapters.saml.metadata import metadata_folder
from broker.adapters.saml.metadata.aggregates import Trust
from broker.adapters.saml.metadata.feed_fetch import Feed
from broker.adapters.saml.metadata.feed_refresh import FetchOutcome
from broker.adapters.saml.metadata.live_metadata import LiveMetadata, WantedEntities, feed_refreshes
from broker.core.entities import Service
from broker.core.errors import ConfigurationFaults, Fault, MessageRefused
from broker.core.event_routes import BrokerEvent, EventKind, TellPort
from broker.files.settings.config import Config
from broker.files.settings.federation_tables import FeedTable


def services(settings: Config) -> Mapping[str, Service]:
    """Return the services as broker.toml describes them, by name."""
    return {name: settings.service(name) for name in settings.services}


def opened(settings: Config, tell: TellPort, now: datetime) -> LiveMetadata:
    """Return the metadata of the moment; a feed without a copy on this machine is fetched.

    ConfigurationFaults where the folder or a pin cannot be used. A feed that does not answer is no
    fault: its last good copy is in force, or the entities that only it knows are not, until it
    answers.
    """
    faults: list[Fault] = []
    feeds = [_feed(name, table, faults) for name, table in settings.feeds.items()]
    if faults:
        raise ConfigurationFaults(faults)
    upstreams = {name: settings.upstream(name) for name in settings.upstreams}
    wanted = WantedEntities(upstreams, services(settings))
    upstream_ids = [upstream.entity_id for upstream in upstreams.values() if not upstream.local]
    service_ids = [service.entity_id for service in wanted.services.values()]
    local = metadata_folder.load(
        settings.metadata,
        upstream_ids,
        service_ids,
        now,
        fed=bool(feeds),
    )
    state = settings.state / "metadata"
    followed = list(feed_refreshes(feeds, local, wanted, state))
    live = LiveMetadata(local, wanted, followed, partial(_tell_fetched, tell), now)
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
        trust=Trust(tuple(keys), table.window, table.largest),
        mdq=table.mdq,
        speaks_for=frozenset(table.speaks_for),
        every=table.every,
        ca_file=table.ca_file,
        birk=table.birk,
    )


def _pinned(path: Path, where: str, faults: list[Fault]) -> Iterator[VerifyKey]:
    """Load the key of a certificate, whose dates do not matter here, or a public key (SDP-MD06)."""
    try:
        yield VerifyKey.pinned(path.read_bytes())
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        faults.append(Fault(where, f"{path.name} {what}", "name a PEM file"))
    except MessageRefused as refused:
        what = "is no certificate or public key"
        if refused.cause == "gate.weak_key":
            what = "holds a key below RSA 2048 or EC 256 bits"
        mend = "take the one that the feed's publisher has published"
        faults.append(Fault(where, f"{path.name} {what}", mend))


def _tell_fetched(tell: TellPort, outcome: FetchOutcome) -> None:
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
