"""The command that explains a refusal by the reference on its page."""

import json
from datetime import UTC, datetime

import click

from broker.app import assembly, policy_configuration
from broker.app.assembly import Parts
from broker.cli.audit import find_events
from broker.cli.output import printing_faults, show
from broker.core.identity.cpr import looks_like_cpr
from broker.use_cases.policy_trials.rendering import Wording, explanation_lines


@click.command(short_help="Explain a refusal by the reference on its page.")
@click.argument("reference", nargs=-1, required=True)
@click.option("--git", is_flag=True, help="Read the set that decided then from Git.")
@printing_faults
def explain(reference: tuple[str, ...], *, git: bool) -> None:
    """Explain a refusal by the REFERENCE on its page, as it is read aloud: bcdf ghjk.

    The output names the rule that refused, as it was written then, and the result by the policies
    in force now. If another set decided then, --git finds it in the history of the configured
    folder and plays the login by it again. References are kept for thirty days. Exit 1 for an
    unknown reference.
    """
    typed = _check_reference(" ".join(reference))
    now = datetime.now(UTC)
    parts = assembly.open_broker()
    explainer = parts.make_explainer()
    found = explainer.explain(typed, now)
    if found is None:
        raise click.ClickException("no page of the last thirty days had this reference")
    if git and found.refused and found.is_by_another_set:
        policies, origin = policy_configuration.load_set_of_digest(
            parts.config.policies, found.refused.digest, now
        )
        found = explainer.add_earlier_set(found, policies, origin, now)
    for line in explanation_lines(found, now.date(), Wording()):
        click.echo(line)
    if found.is_by_another_set and found.earlier is None:
        click.echo("--git tries the login with the policies that decided", err=True)


def show_login(parts: Parts, typed: str, *, as_json: bool) -> None:
    """Show why a login was refused, and its events in the audit log of this machine.

    ``typed`` is the help code of one of its pages, or the reference in the log. A login that
    succeeded has events only.
    """
    reference = _check_reference(typed)
    now = datetime.now(UTC)
    found = parts.make_explainer().explain(reference, now)
    lines = list(explanation_lines(found, now.date(), Wording())) if found else []
    events = find_events(parts, reference)
    if not lines and not events:
        raise click.ClickException("no login on this machine had this reference")
    if as_json:
        click.echo(json.dumps({"refused": lines, "events": events}, indent=2))
        return
    for line in lines:
        click.echo(line)
    show(events, as_json=False)


def _check_reference(typed: str) -> str:
    """Return a typed reference; UsageError for a CPR number."""
    if looks_like_cpr(typed, apart=True):
        raise click.UsageError("a CPR number is no reference, and must not stand in a command")
    return typed
