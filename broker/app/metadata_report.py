"""What is told of the parties' metadata: where each was found, until when it is good, and what is wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.adapters.saml.metadata.feed_refresh import FeedRefresh, FetchOutcome
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor, UpstreamDescriptor
from broker.app.assembly import Parts, now
from broker.core.entities import Institution, Upstream

_NOWHERE: Final = "nowhere"


def entity_rows(parts: Parts) -> list[dict[str, Any]]:
    """Give a row for each feed, and for each upstream, institution and service: source, end, keys' SHA-256, scopes."""
    current, sources = parts.metadata.current, parts.metadata.snapshot.sources
    rows = [_followed(each) for each in parts.metadata.followed]
    for name, party in parts.federated.items():
        rows.append(
            _row("upstream", name, party.entity_id, current.upstreams.get(party.entity_id), sources)
        )
        for each in party.institutions:
            source = sources.get(("institution", each.entity_id), "broker.toml")
            rows.append(
                {"kind": "institution", "name": name, "entity_id": each.entity_id, "from": source}
                | {"aliases": each.aliases, "scopes": each.scopes}
            )
    for name, service in parts.services.items():
        rows.append(
            _row(
                "service", name, service.entity_id, current.services.get(service.entity_id), sources
            )
        )
        rows[-1]["categories"] = service.categories
    return rows


def renewed(parts: Parts) -> list[FetchOutcome]:
    """Fetch every feed now, and give what became of each document."""
    return parts.metadata.refresh(now(), force=True)


def findings(parts: Parts) -> list[str]:
    """Give what is wrong with feeds, descriptors and scopes; empty when nothing is."""
    moment = now()
    told = (
        *parts.metadata.faults(moment),
        *parts.metadata.alarms(moment),
        *parts.metadata.snapshot.notices,
    )
    return [*dict.fromkeys(told), *_scopeless(parts)]


def _scopeless(parts: Parts) -> Iterator[str]:
    """Tell of institutions that were left to feeds, and that no feed gave a scope."""
    for party in parts.federated.values() if parts.config.feeds else ():
        for each in _left(party):
            yield f"{each.entity_id} has no scope, from broker.toml or a feed: no eppn of it is believed"


def _left(party: Upstream) -> list[Institution]:
    return [each for each in party.institutions if "scopes" in each.unwritten and not each.scopes]


def _followed(feed: FeedRefresh) -> dict[str, Any]:
    """Give what is in force of a feed, and what keeps a later one from it."""
    until, created = feed.until(), feed.created()
    return {
        "kind": "feed",
        "name": feed.feed.name,
        "url": feed.feed.url,
        "created": created.isoformat() if created else None,
        "until": until.isoformat() if until else None,
        "entities": feed.size(),
        "alarms": tuple(feed.alarms(now())),
    }


def _row(
    kind: str,
    name: str,
    entity_id: str,
    found: UpstreamDescriptor | ServiceDescriptor | None,
    sources: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": kind, "name": name, "entity_id": entity_id}
    row["from"] = sources.get((kind, entity_id), _NOWHERE)
    row["until"] = found.until.isoformat() if found and found.until else None
    row["keys"] = tuple(each.fingerprint for each in found.keys) if found else ()
    return row
