"""The commands that check and test the policy files."""

import json
from pathlib import Path

import click

from broker.app import diagnostics
from broker.commands import policy_diff
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
    loaded = diagnostics.load_policies(folder)
    count = len(loaded.policies)
    warnings = [str(warning) for warning in loaded.warnings]
    if as_json:
        found = {"policies": count, "digest": loaded.digest, "warnings": warnings}
        click.echo(json.dumps(found))
        return
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{count} policies, {loaded.digest[:12]}: well")


@policy.command("test", short_help="Run the examples of the policy files.")
@folder
@as_json
@printing_faults
def test_policies(folder: Path | None, *, as_json: bool) -> None:
    """Run the examples of the policy files and print those that hold.

    Exit 78 with all that do not hold, 1 where there is none.
    """
    rows = []
    for result in diagnostics.run_examples(diagnostics.load_policies(folder), None):
        example = result.example
        rows.append({"place": str(example.place), "name": str(example.name)})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            click.echo(f"holds  {row['place']}  {row['name']}")
        click.echo(f"{len(rows)} examples hold")
    if not rows:
        raise SystemExit(FINDINGS)


policy.add_command(policy_diff.diff_policies)
