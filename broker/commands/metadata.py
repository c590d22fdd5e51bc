"""The commands that show, renew and check the metadata in force."""

import json
from dataclasses import asdict

import click

from broker.app import inspection
from broker.app import metadata_report as parties
from broker.commands.output import FINDINGS, as_json, printing_faults, show


@click.group()
def metadata() -> None:
    """Show, renew and check the metadata of upstreams, institutions and services."""


@metadata.command("show", short_help="Show the feeds and each party's metadata in force.")
@as_json
@printing_faults
def show_metadata(*, as_json: bool) -> None:
    """Show each feed and what is wrong with it, and each party: where from, until when, keys, scopes."""
    rows = parties.entity_rows(inspection.opened())
    if as_json:
        show(rows, as_json=True)
        return
    listed = [
        {name: " ".join(each) if isinstance(each, tuple) else each for name, each in row.items()}
        for row in rows
    ]
    show(
        [{name: each for name, each in row.items() if each != ""} for row in listed], as_json=False
    )


@metadata.command(short_help="Fetch every feed now.")
@as_json
@printing_faults
def refresh(*, as_json: bool) -> None:
    """Fetch every feed now, whether it is due or not; a running broker takes it up. Exit 1 where one fails."""
    rows = [asdict(each) for each in parties.renewed(inspection.opened())]
    if not rows:
        click.echo("no feeds are configured", err=True)
    shown = ("feed", "result", "cause", "entity_id")
    show([{name: row[name] or None for name in shown} for row in rows], as_json=as_json)
    if any(row["result"] in {"refused", "older", "busy"} for row in rows):
        raise SystemExit(FINDINGS)


@metadata.command("check", short_help="Check the metadata in force and the feeds.")
@as_json
@printing_faults
def check_metadata(*, as_json: bool) -> None:
    """Check feeds, descriptors, scopes and ends; exit 1 with what is wrong."""
    findings = parties.findings(inspection.opened())
    click.echo(
        json.dumps({"findings": findings}, indent=2)
        if as_json
        else "\n".join(findings) or "all well"
    )
    if findings:
        raise SystemExit(FINDINGS)
