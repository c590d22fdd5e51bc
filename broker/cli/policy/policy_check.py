"""The commands that check and test the policy files."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.app import policy_configuration
from broker.app.named_configuration import configuration
from broker.cli.late_group import LateGroup
from broker.cli.output import DAY, FINDINGS, as_json, folder, printing_faults, show_progress
from broker.configuration.policies.examples import find_failed_examples, noon, run_examples
from broker.configuration.policies.file_checks import make_faults
from broker.core.errors import ConfigurationFaults
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.findings import Findings, simulate_sample_logins
from broker.core.policy_analysis.login_options import write_options
from broker.core.policy_analysis.sample_logins import Analysis

_BESIDE: Final = {
    "diff": "policy.policy_diff:diff_policies",
    "explain": "policy.policy_explain:explain",
    "report": "policy.policy_report:report",
    "schema": "policy.policy_schema:schema",
    "try": "policy.policy_try:try_login",
}


@click.group(cls=LateGroup, late=_BESIDE)
def policy() -> None:
    """Check, test, try and compare the policy files."""


@policy.command("check", short_help="Check the policy files.")
@folder
@click.option("--strict", is_flag=True, help="Exit 1 with warnings too.")
@click.option("--no-analysis", is_flag=True, help="Simulate no logins.")
@click.option(
    "--untried", is_flag=True, help="Print logins that no example tries, if they are analysed."
)
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
    moment = datetime.now(UTC)
    checked = policy_configuration.load_checked(folder, moment, proving=not no_analysis)
    policies = checked.policies
    count, digest = len(policies.policies), policies.digest
    found: dict[str, object] = {"policies": count, "digest": digest}
    warnings = [*checked.warnings]
    closing = [f"{count} policies, {digest[:12]}: well"]
    if not no_analysis:
        analysis = Analysis((policies,), (checked.site,), moment, report_progress=show_progress)
        analysed = simulate_sample_logins(analysis)
        warnings += map(str, analysed.find_useless_rules(policies, analysis.services))
        logins = _list_untried(analysed, policies, moment)
        found |= {"logins": analysed.logins, "untried": logins}
        closing.append(f"analysis: {analysed.logins} logins were tried")
        if untried:
            closing += logins
        elif logins:
            many = len(logins)
            what = f"{many} kinds of decision are tried by no example: --untried prints logins"
            closing.append(what)
    if checked.site.configured and not no_analysis:
        lacking, note = policy_configuration.check_categories(
            configuration(), policies, datetime.now(UTC)
        )
        warnings += lacking
        closing += filter(None, [note])
    if as_json:
        click.echo(json.dumps(found | {"warnings": warnings}))
    else:
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        click.echo("\n".join(closing))
    if strict and warnings:
        raise SystemExit(FINDINGS)


def _list_untried(found: Findings, policies: PolicySet, moment: datetime) -> list[str]:
    """Return a login for each kind of decision that no example tries."""
    tried = set()
    for result in run_examples(policies, moment):
        decision = result.decision
        effect, reason = decision.effect.value, decision.reasons[0].code
        tried.add((decision.affiliation or "", result.example.service, effect, reason))
    return [
        f"{affiliation} at {service}: {reason}, try {write_options(login, (policies,))}"
        for (affiliation, service, effect, reason), login in sorted(found.reached.items())
        if (affiliation, service, effect, reason) not in tried
    ]


@policy.command("test", short_help="Run the examples of the policy files.")
@folder
@click.option("--date", "day", metavar="DAY", type=DAY, help="As on that day, not today.")
@printing_faults
def test_policies(folder: Path | None, day: datetime | None) -> None:
    """Run the examples of the policy files and print those that hold.

    Every example must hold today. With --date the examples without a day are run again as on that
    day. Exit 78 with all failing examples, 1 if there are no examples. A DAY is written 2026-01-31.
    """
    moment = datetime.now(UTC)
    policies = policy_configuration.load_checked(folder, moment).policies
    results = run_examples(policies, noon((day or moment).date()))
    failed = list(make_faults("", find_failed_examples(results)))
    if failed:
        raise ConfigurationFaults(failed)
    for result in results:
        click.echo(f"holds  {result.example.place}  {result.example.name}")
    click.echo(f"{len(results)} examples hold")
    if not results:
        raise SystemExit(FINDINGS)
