"""The commands that check and test the policy files."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click

from broker.app import policy_configuration
from broker.app.named_configuration import configuration
from broker.app.policy_configuration import CheckedPolicies
from broker.cli.late_group import LateGroup
from broker.cli.output import DAY, FINDINGS, as_json, folder, printing_faults, show_progress
from broker.configuration.policies.example_failures import find_failures
from broker.configuration.policies.examples import noon, run_examples
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import Example, PolicySet
from broker.core.policy_analysis.findings import Findings, find_faults, write_untried_examples
from broker.core.policy_analysis.personas import Analysis

_BESIDE: Final = {
    "diff": "policy.policy_diff:diff_policies",
    "explain": "policy.policy_explain:explain",
    "report": "policy.policy_report:report",
    "schema": "policy.policy_schema:schema",
    "try": "policy.policy_try:try_login",
}
_UNTRIED: Final = "--untried needs the analysis: leave --no-analysis out"


@click.group(cls=LateGroup, late=_BESIDE)
def policy() -> None:
    """Check, test, try and compare the policy files."""


@policy.command("check", short_help="Check the policy files.")
@folder
@click.option("--strict", is_flag=True, help="Exit 1 with warnings too.")
@click.option("--no-analysis", is_flag=True, help="Simulate no logins.")
@click.option("--untried", is_flag=True, help="Print examples for what no example tries.")
@as_json
@printing_faults
def check_policies(
    folder: Path | None, *, strict: bool, no_analysis: bool, untried: bool, as_json: bool
) -> None:
    """Check the policy files of FOLDER: form, names, texts, examples, and what they decide.

    FOLDER is by default the configured one, or ./policies without BROKER_CONFIG. Names are checked
    against the configuration, and the library system is asked for the categories. Every kind of
    login is simulated to find rules without effect.
    """
    if untried and no_analysis:
        raise click.UsageError(_UNTRIED)
    moment = datetime.now(UTC)
    checked = policy_configuration.load_checked(folder, moment, proving=not no_analysis)
    policies = checked.policies
    count, digest = len(policies.policies), policies.digest
    found: dict[str, object] = {"policies": count, "digest": digest}
    warnings = checked.warnings
    closing = [f"{count} policies, {digest[:12]}: well"]
    if not no_analysis:
        analysed, examples = _analyse(checked, moment)
        found |= {"logins": analysed.logins, "untried": examples}
        warnings += tuple(map(str, analysed.found))
        closing.append(f"analysis: {analysed.logins} logins were tried")
        if untried:
            closing += examples
        elif examples:
            many = len(examples)
            what = f"{many} kinds of decision are tried by no example: --untried prints some"
            closing.append(what)
        if checked.surroundings is not None:
            lacking, note = policy_configuration.check_categories(
                configuration(), policies, datetime.now(UTC)
            )
            warnings += lacking
            closing += filter(None, [note])
    _print_check(found, warnings, closing, as_json=as_json)
    if strict and warnings:
        raise SystemExit(FINDINGS)


def _print_check(
    found: dict[str, object], warnings: tuple[str, ...], closing: list[str], *, as_json: bool
) -> None:
    if as_json:
        click.echo(json.dumps(found | {"warnings": warnings}))
        return
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo("\n".join(closing))


def _analyse(checked: CheckedPolicies, moment: datetime) -> tuple[Findings, tuple[str, ...]]:
    """Return the findings of the analysis, and an example for each kind of untried decision."""
    policies = checked.policies
    trial = Analysis((policies,), (checked.site,), moment, report_progress=show_progress)
    found = find_faults(trial)
    tried = set()
    for result in run_examples(policies, None, moment):
        decision = result.decision
        effect, reason = decision.effect.value, decision.reasons[0].code
        tried.add((decision.affiliation or "", result.example.service, effect, reason))
    return found, write_untried_examples(found, policies, tried)


@policy.command("test", short_help="Run the examples of the policy files.")
@folder
@click.option("--date", "day", metavar="DAY", type=DAY, help="As on that day, not today.")
@as_json
@printing_faults
def test_policies(folder: Path | None, day: datetime | None, *, as_json: bool) -> None:
    """Run the examples of the policy files and print those that hold.

    Every example must hold today. With --date the examples without a day are run again as on that
    day. Exit 78 with all failing examples, 1 if there are no examples. A DAY is written 2026-01-31.
    """
    moment = datetime.now(UTC)
    checked = policy_configuration.load_checked(folder, moment)
    today = day.date() if day else moment.date()
    rows = [
        {"place": str(example.place), "name": str(example.name)}
        for example in _holding(checked.policies, today)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            click.echo(f"holds  {row['place']}  {row['name']}")
        click.echo(f"{len(rows)} examples hold")
    if not rows:
        raise SystemExit(FINDINGS)


def _holding(policies: PolicySet, day: date) -> list[Example]:
    """Return the examples if all hold on ``day``; else raise ConfigurationFaults."""
    results = run_examples(policies, None, noon(day))
    problems = find_failures(policies, results, day)
    failed = [Fault(str(place), what, fix) for place, what, fix in problems]
    if failed:
        raise ConfigurationFaults(failed)
    return [result.example for result in results]
