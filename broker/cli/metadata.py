"""The commands over the metadata in force: show, refresh, check."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import click

from broker.app import assembly, metadata_report
from broker.cli.output import FINDINGS, as_json, printing_faults, show, show_findings, waiting

_SHOWN: Final = ("feed", "result", "cause", "entity_id")
_FAILED: Final = frozenset({"refused", "older", "busy"})


@click.group()
def metadata() -> None:
    """Show, renew and check the metadata of upstreams, institutions and services."""


@metadata.command("show", short_help="Show the feeds and each party's metadata in force.")
@as_json
@printing_faults
def show_metadata(*, as_json: bool) -> None:
    """Show the feeds and what is wrong with them, and every party: source, end, keys, scopes."""
    rows = metadata_report.entity_rows(assembly.open_broker())
    if not as_json:
        rows = [_joined(row) for row in rows]
    show(rows, as_json=as_json)


@metadata.command(short_help="Fetch every feed now.")
@as_json
@printing_faults
def refresh(*, as_json: bool) -> None:
    """Fetch every feed now, whether it is due or not; a running broker takes it up.

    Exit 1 where one fails.
    """
    parts = assembly.open_broker()
    with waiting("fetching every feed"):
        outcomes = metadata_report.renewed(parts)
    if not outcomes:
        click.echo("no feeds are configured", err=True)
    rows = [asdict(outcome) for outcome in outcomes]
    show([{name: row[name] or None for name in _SHOWN} for row in rows], as_json=as_json)
    if any(outcome.result in _FAILED for outcome in outcomes):
        raise SystemExit(FINDINGS)


@metadata.command("check", short_help="Check the metadata in force and the feeds.")
@as_json
@printing_faults
def check_metadata(*, as_json: bool) -> None:
    """Check feeds, descriptors, scopes and ends; exit 1 with what is wrong."""
    findings = metadata_report.findings(assembly.open_broker())
    show_findings(findings, as_json=as_json)


def _joined(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose lists are joined by spaces, without those that are empty."""
    joined = {}
    for name, value in row.items():
        shown = " ".join(value) if isinstance(value, tuple) else value
        if shown != "":
            joined[name] = shown
    return joined
