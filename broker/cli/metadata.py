"""The commands over the metadata in force: show, refresh, check."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import click

from broker.adapters.saml.metadata.role_descriptors import PeerDescriptor
from broker.app import assembly
from broker.cli.check import checks
from broker.cli.output import FINDINGS, Row, as_json, printing_faults, show, show_findings, waiting

_FAILED: Final = frozenset({"refused", "older", "busy"})


@click.group(short_help="Show, fetch and check metadata.")
def metadata() -> None:
    """Show, fetch and check the metadata of upstreams, institutions and services."""


@metadata.command("show", short_help="Show the feeds and each party's metadata in force.")
@as_json
@printing_faults
def show_metadata(*, as_json: bool) -> None:
    """Show the feeds and what is wrong with them, and every party: source, end, keys, scopes."""
    parts = assembly.open_broker()
    show([*_feed_rows(parts), *_upstream_rows(parts), *_service_rows(parts)], as_json=as_json)


def _feed_rows(parts: assembly.Parts) -> Iterator[Row]:
    for feed in parts.metadata.feeds:
        yield {
            "kind": "feed",
            "name": feed.feed.name,
            "url": feed.feed.url,
            "created": _format(feed.creation_time()),
            "until": _format(feed.until()),
            "entities": feed.size(),
            "alarms": tuple(feed.alarms(assembly.now())),
        }


def _upstream_rows(parts: assembly.Parts) -> Iterator[Row]:
    descriptors = parts.metadata.current.upstreams
    for name, upstream in parts.saml_upstreams.items():
        descriptor = descriptors.get(upstream.entity_id)
        yield _row(parts, "upstream", name, upstream.entity_id, descriptor)
        for institution in upstream.institutions:
            key = ("institution", institution.entity_id)
            yield {
                "kind": "institution",
                "name": name,
                "entity_id": institution.entity_id,
                "from": parts.metadata.snapshot.sources.get(key, "broker.toml"),
                "aliases": institution.aliases,
                "scopes": institution.scopes,
            }


def _service_rows(parts: assembly.Parts) -> Iterator[Row]:
    descriptors = parts.metadata.current.services
    for name, service in parts.services.items():
        row = _row(parts, "service", name, service.entity_id, descriptors.get(service.entity_id))
        yield {**row, "categories": service.categories}


def _row(
    parts: assembly.Parts, kind: str, name: str, entity_id: str, descriptor: PeerDescriptor | None
) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "entity_id": entity_id,
        "from": parts.metadata.snapshot.sources.get((kind, entity_id), "nowhere"),
        "until": _format(descriptor.until) if descriptor else None,
        "keys": tuple(key.fingerprint for key in descriptor.keys) if descriptor else (),
    }


def _format(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


@metadata.command(short_help="Fetch every feed now.")
@as_json
@printing_faults
def refresh(*, as_json: bool) -> None:
    """Fetch every feed now, due or not. A running broker applies the result.

    Exit 1 if a fetch fails.
    """
    parts = assembly.open_broker()
    with waiting("fetching every feed"):
        outcomes = parts.metadata.refresh(assembly.now(), force=True)
    if not outcomes:
        click.echo("no feeds are configured", err=True)
    rows = [
        {
            "feed": outcome.feed,
            "result": outcome.result,
            "cause": outcome.cause or None,
            "entity_id": outcome.entity_id or None,
        }
        for outcome in outcomes
    ]
    show(rows, as_json=as_json)
    if any(outcome.result in _FAILED for outcome in outcomes):
        raise SystemExit(FINDINGS)


@metadata.command("check", short_help="Check the metadata in force and the feeds.")
@as_json
@printing_faults
def check_metadata(*, as_json: bool) -> None:
    """Check feeds, descriptors, scopes and dates of expiry. Exit 1 with what is wrong."""
    parts = assembly.open_broker()
    faults = parts.metadata.faults(assembly.now())
    show_findings([*faults, *checks.find_metadata_faults(parts)], as_json=as_json)
