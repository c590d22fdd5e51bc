"""The commands that check and test the policy files."""

import json
from pathlib import Path

import click

from broker.app import inspection
from broker.commands.output import FINDINGS, as_json, folder, printing_faults


@click.group()
def policy() -> None:
    """Check and test the policy files."""


@policy.command("check", short_help="Check the policy files.")
@folder
@as_json
@printing_faults
def check_policies(folder: Path | None, *, as_json: bool) -> None:
    """Check the policy files of FOLDER: form, names, texts and examples.

    Without FOLDER those configured, or ./policies where BROKER_CONFIG is not set.
    """
    loaded = inspection.load_policies(folder)
    warnings = [str(each) for each in loaded.warnings]
    found = {"policies": len(loaded.policies), "digest": loaded.digest, "warnings": warnings}
    for warning in [] if as_json else warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(
        json.dumps(found)
        if as_json
        else f"{len(loaded.policies)} policies, {loaded.digest[:12]}: well"
    )


@policy.command("test", short_help="Run the examples of the policy files.")
@folder
@as_json
@printing_faults
def test_policies(folder: Path | None, *, as_json: bool) -> None:
    """Run the examples of the policy files and print each that holds; exit 78 with all that do not, 1 without any."""
    results = inspection.run_examples(inspection.load_policies(folder), None)
    rows = [{"place": str(each.example.place), "name": str(each.example.name)} for each in results]
    lines = [f"holds  {row['place']}  {row['name']}" for row in rows]
    click.echo(
        json.dumps(rows, indent=2) if as_json else "\n".join((*lines, f"{len(rows)} examples hold"))
    )
    if not rows:
        raise SystemExit(FINDINGS)
