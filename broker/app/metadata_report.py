"""The report on metadata: sources, ends, keys and faults of feeds, upstreams and services."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from broker.adapters.saml.feeds.feed_refresh import FeedRefresh, FetchOutcome
from broker.adapters.saml.metadata.role_descriptors import ServiceDescriptor, UpstreamDescriptor
from broker.app.assembly import Parts, now
from broker.configuration.checked_files import did_you_mean

_NOWHERE: Final = "nowhere"
_OWN_FILE: Final = "broker.toml"
Row = dict[str, Any]
Sources = Mapping[tuple[str, str], str]


def entity_rows(parts: Parts) -> list[Row]:
    """Return a row a feed, upstream, institution and service.

    A feed's row holds its URL, end and alarms, the others' the source and the entity id. An
    upstream and a service have the end and the SHA-256 of the keys too, an institution its scopes.
    """
    rows = [_feed_row(feed) for feed in parts.metadata.followed]
    rows.extend(_upstream_rows(parts))
    rows.extend(_service_rows(parts))
    return rows


def renewed(parts: Parts) -> list[FetchOutcome]:
    """Fetch every feed now, and return the outcome of every document."""
    return parts.metadata.refresh(now(), force=True)


def findings(parts: Parts) -> list[str]:
    """Return what is wrong with feeds, descriptors, scopes and ends; empty when nothing is."""
    moment = now()
    metadata = parts.metadata
    found = [
        *metadata.faults(moment),
        *metadata.alarms(moment),
        *metadata.warnings(moment),
        *_ended_certificates(parts, moment),
        *metadata.snapshot.notices,
    ]
    return [*dict.fromkeys(found), *_misspelt(parts, moment), *_without_scope(parts)]


def _misspelt(parts: Parts, moment: datetime) -> Iterator[str]:
    """Yield the files that hold nearly the entityID of a party that is in none: a slash counts."""
    contents = parts.metadata.folder.contents
    nowhere = [name for name in parts.metadata.amiss(moment) if name not in contents.places]
    for path, file in contents.files.items():
        for name in nowhere:
            meant = did_you_mean(name, sorted(file.others))
            if meant:
                yield f"{path.parent.name}/{path.name}: does not hold {name} ({meant})"


def _ended_certificates(parts: Parts, moment: datetime) -> Iterator[str]:
    """Yield the certificates that ended: their keys count on, but a new one may be missed."""
    for ending in parts.metadata.endings():
        if ending.what == "certificate" and ending.at <= moment:
            yield ending.sentence()


def _without_scope(parts: Parts) -> Iterator[str]:
    """Yield the institutions whose scopes were left to their metadata, which gave none."""
    for upstream in parts.federated.values():
        for institution in upstream.institutions:
            left = parts.config.feeds or institution.folder_scopes
            if left and "scopes" in institution.unwritten and not institution.scopes:
                what = "has no scope, from broker.toml or its metadata"
                yield f"{institution.entity_id} {what}: no eppn of it is believed"


def _feed_row(feed: FeedRefresh) -> Row:
    """Return what is in force of a feed, and what keeps a later one from it."""
    created = feed.created()
    until = feed.until()
    return {
        "kind": "feed",
        "name": feed.feed.name,
        "url": feed.feed.url,
        "created": created.isoformat() if created else None,
        "until": until.isoformat() if until else None,
        "entities": feed.size(),
        "alarms": tuple(feed.alarms(now())),
    }


def _upstream_rows(parts: Parts) -> Iterator[Row]:
    sources = parts.metadata.snapshot.sources
    descriptors = parts.metadata.current.upstreams
    for name, upstream in parts.federated.items():
        descriptor = descriptors.get(upstream.entity_id)
        yield _row("upstream", name, upstream.entity_id, descriptor, sources)
        for institution in upstream.institutions:
            key = ("institution", institution.entity_id)
            yield {
                "kind": "institution",
                "name": name,
                "entity_id": institution.entity_id,
                "from": sources.get(key, _OWN_FILE),
                "aliases": institution.aliases,
                "scopes": institution.scopes,
            }


def _service_rows(parts: Parts) -> Iterator[Row]:
    sources = parts.metadata.snapshot.sources
    descriptors = parts.metadata.current.services
    for name, service in parts.services.items():
        descriptor = descriptors.get(service.entity_id)
        row = _row("service", name, service.entity_id, descriptor, sources)
        yield {**row, "categories": service.categories}


def _row(
    kind: str,
    name: str,
    entity_id: str,
    descriptor: UpstreamDescriptor | ServiceDescriptor | None,
    sources: Sources,
) -> Row:
    until = None
    keys: tuple[str, ...] = ()
    if descriptor is not None:
        keys = tuple(key.fingerprint for key in descriptor.keys)
        if descriptor.until is not None:
            until = descriptor.until.isoformat()
    return {
        "kind": kind,
        "name": name,
        "entity_id": entity_id,
        "from": sources.get((kind, entity_id), _NOWHERE),
        "until": until,
        "keys": keys,
    }
