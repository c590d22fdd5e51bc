"""The commands that check and test the policy files."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.app import checked_policies
from broker.commands.late_group import LateGroup
from broker.commands.output import FINDINGS, as_json, folder, printing_faults
from broker.files.policies.examples import run_examples

_BESIDE: Final = {
    "diff": "policy_diff:diff_policies",
    "schema": "policy_schema:schema",
    "try": "policy_try:try_login",
}


@click.group(cls=LateGroup, late=_BESIDE)
def policy() -> None:
    """Check, test and try the policy files."""


@policy.command("check", short_help="Check the policy files.")
@folder
@click.option("--strict", is_flag=True, help="Exit 1 with warnings too.")
@as_json
@printing_faults
def check_policies(folder: Path | None, *, strict: bool, as_json: bool) -> None:
    """Check the policy files of FOLDER: form, names, texts and examples.

    Without FOLDER those configured, or ./policies where BROKER_CONFIG is not set. Names are checked
    against the configuration.
    """
    checked = checked_policies.load(folder, datetime.now(UTC))
    count = len(checked.policies.policies)
    digest = checked.policies.digest
    if as_json:
        found = {"policies": count, "digest": digest, "warnings": checked.warnings}
        click.echo(json.dumps(found))
    else:
        for warning in checked.warnings:
            click.echo(f"warning: {warning}", err=True)
        click.echo(f"{count} policies, {digest[:12]}: well")
    if strict and checked.warnings:
        raise SystemExit(FINDINGS)


@policy.command("test", short_help="Run the examples of the policy files.")
@folder
@as_json
@printing_faults
def test_policies(folder: Path | None, *, as_json: bool) -> None:
    """Run the examples of the policy files and print those that hold.

    Exit 78 with all that do not hold, 1 where there is none.
    """
    moment = datetime.now(UTC)
    checked = checked_policies.load(folder, moment)
    rows = []
    for result in run_examples(checked.policies, None, moment):
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
