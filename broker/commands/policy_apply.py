"""The commands that put policies in force: what would change, and the change itself."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.app import policy_analysis, policy_moves, policy_operations
from broker.app.policy_moves import Applied, Order
from broker.app.policy_operations import Plan, PolicyDesk
from broker.commands.output import CHANGES, CONFIGURATION, FINDINGS, as_json, printing_faults
from broker.commands.policy_diff import Compared, all_rows, compare
from broker.commands.policy_signing import (
    Asked,
    asked,
    brought_by,
    second_person,
    showing_what_to_sign,
)
from broker.core.identity.cpr import looks_like_cpr
from broker.core.policy.site_record import site_digest

_SHOWN: Final = 12
_BASE: Final = re.compile("[0-9a-f]{8,64}|none")
_PLANNED: Final = re.compile("[0-9a-f]{8,64}")
_SILENT: Final = (
    "has said nothing since: it has ended without a word, hangs, or does not reach the store"
)
_LONGEST: Final = 300
_PATIENCE: Final = 20.0

_from_folder: Final = click.option(
    "--from",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The proposed policies; without it the configured folder.",
)


def _checked_why(_: click.Context, __: click.Parameter, text: str) -> str:
    """Refuse what cannot stand on a trail: nothing, several lines, a CPR number."""
    said = text.strip()
    if not said or len(said) > _LONGEST or not said.isprintable():
        raise click.BadParameter(f"must be one line of 1 to {_LONGEST} characters")
    if looks_like_cpr(said):
        raise click.BadParameter("holds what reads as a CPR number; say it without")
    return said


def _checked_base(_: click.Context, __: click.Parameter, text: str) -> str:
    if not _BASE.fullmatch(text):
        raise click.BadParameter("must be the digest that broker policy plan prints first")
    return text


def _checked_planned(_: click.Context, __: click.Parameter, text: str) -> str:
    if text and not _PLANNED.fullmatch(text):
        raise click.BadParameter(
            "must be the digest after the arrow that broker policy plan prints"
        )
    return text


why_option: Final = click.option(
    "--why", metavar="TEXT", required=True, callback=_checked_why, help="For the history."
)
wait_option: Final = click.option(
    "--wait",
    type=click.FloatRange(0, 600),
    default=_PATIENCE,
    show_default=True,
    help="Seconds to wait for the web workers.",
)


@click.command("plan", short_help="Show what an apply would change.")
@_from_folder
@click.option("--no-analysis", is_flag=True, help="Do not look at every class of logins.")
@all_rows
@as_json
@printing_faults
def plan_policies(folder: Path | None, *, no_analysis: bool, all_rows: bool, as_json: bool) -> None:
    """Show what the folder would change of the policies in force; nothing is written.

    Files, the site, and who gets what else, as broker policy diff shows it. Exit 0 without a
    change, 3 with changes, 78 where a check stands against them.
    """
    desk = policy_operations.opened()
    found = policy_operations.plan(desk, folder, proving=not no_analysis)
    compared = None if no_analysis else _compared(desk, found)
    second = None
    if desk.settings.policy.live != "save":
        # Of a folder that counts by itself nobody is asked for a signature.
        second = asked(desk, found, compared, analysed=not no_analysis)
    if as_json:
        rows = compared.facts() if compared else {}
        signing = {"second_person": second.facts() if second else None}
        click.echo(json.dumps(_as_facts(found) | rows | signing, indent=2))
    else:
        _show_plan(found, compared, second, everything=all_rows)
        if found.changed and not found.faults:
            click.echo(_in_force_by(desk, found, folder, second))
    if compared:
        compared.tell_incomplete()
    if found.faults:
        raise SystemExit(CONFIGURATION)
    if found.changed:
        raise SystemExit(CHANGES)


def _compared(desk: PolicyDesk, found: Plan) -> Compared | None:
    """Compare what the two sets decide; None where they are one, or one of them decides nothing."""
    if found.sets is None or not found.file_changes:
        return None
    site = policy_analysis.compared_site(desk.around)
    return compare(found.sets, site, datetime.now(UTC))


@click.command("apply", short_help="Put a folder of policies in force on every machine.")
@_from_folder
@click.option(
    "--base",
    metavar="DIGEST",
    required=True,
    callback=_checked_base,
    help="The set that the plan was made over, as plan prints it.",
)
@click.option(
    "--set",
    "planned",
    metavar="DIGEST",
    default="",
    callback=_checked_planned,
    help="The set that was planned, as plan prints it: no other is put in force.",
)
@why_option
@second_person
@wait_option
@as_json
@printing_faults
def apply_policies(
    folder: Path | None,
    base: str,
    planned: str,
    why: str,
    *,
    signed: tuple[Path, ...],
    alone: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Put the folder in force, if the base still is, and wait until every web worker has it.

    Where the configuration has policy.signers, what gets wider is signed by two of them, as plan
    prints it. Exit 0 once all have it, 1 where somebody else's change came first, the folder is not
    what was planned or a second person is missing (nothing is changed), or a worker is late or
    silent (it is in force all the same), 78 where a check stands against it.
    """
    desk = policy_operations.opened()
    order = Order(why, base, planned, wait, brought_by(desk, signed, alone=alone))
    with showing_what_to_sign():
        done = policy_moves.applied(desk, folder, order)
    show_applied(done, as_json=as_json)


def show_applied(done: Applied, *, as_json: bool) -> None:
    """Print what is in force now, and which workers have not got it; exit 1 with some."""
    change = done.change
    if as_json:
        click.echo(json.dumps(_applied_facts(done), indent=2))
    elif done.moved:
        click.echo(f"{change.digest[:_SHOWN]} is in force (change {change.number})")
    else:
        click.echo(f"{change.digest[:_SHOWN]} is in force already: nothing is changed")
    if done.moved and change.alone:
        click.echo("one person alone made it, where two should have: an alarm", err=True)
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    amiss = list(_amiss(done))
    for sentence in amiss:
        click.echo(sentence, err=True)
    if amiss:
        raise SystemExit(FINDINGS)


def _applied_facts(done: Applied) -> dict[str, object]:
    change = done.change
    return {
        "digest": change.digest,
        "base": change.base,
        "number": change.number,
        "moved": done.moved,
        "late": [asdict(report) for report in done.behind.late],
        "silent": [asdict(report) for report in done.behind.silent],
        "amiss": done.amiss,
        "warnings": done.warnings,
        "approved_by": change.approved_by,
        "alone": change.alone,
    }


def _amiss(done: Applied) -> Iterator[str]:
    """Yield what could not be done, and each worker that has not got the set."""
    for what in done.amiss:
        yield f"{done.change.digest[:_SHOWN]} is in force, but {what}"
    for report in done.behind.late:
        line = f"late: {report} still has {report.digest[:_SHOWN]}"
        if report.faults:
            line = f"{line}: {report.faults[0]}"
        yield line
    for report in done.behind.silent:
        yield f"silent: {report} had {report.digest[:_SHOWN]} and {_SILENT}"


def _as_facts(found: Plan) -> dict[str, object]:
    return {
        "base": found.base,
        "digest": found.digest,
        "changed": found.changed,
        "files": found.file_changes,
        "site": found.site_changes,
        "site_digest": site_digest(found.site),
        "warnings": found.warnings,
        "faults": [asdict(fault) for fault in found.faults],
    }


def _show_plan(
    found: Plan, compared: Compared | None, second: Asked | None, *, everything: bool
) -> None:
    if found.changed:
        click.echo(f"{found.base[:_SHOWN]} -> {found.digest[:_SHOWN]}")
    else:
        click.echo(f"{found.digest[:_SHOWN]} is in force: nothing would change")
    for change in found.file_changes:
        click.echo(f"  file   {change}")
    for change in found.site_changes:
        click.echo(f"  site   {change} since the last apply")
    if compared:
        compared.show(everything=everything)
    if second:
        second.show(everything=everything)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    for fault in found.faults:
        click.echo(str(fault), err=True)


def _in_force_by(desk: PolicyDesk, found: Plan, folder: Path | None, second: Asked | None) -> str:
    """Return the apply that belongs to a plan; where it would be refused, what is done instead."""
    settings = desk.settings
    if settings.policy.live == "save":
        where = f"what is saved in {settings.policies} is in force"
        return f'nothing to apply: policy.live is "save", so {where}'
    return _apply_of(found, folder, second)


def _apply_of(found: Plan, folder: Path | None, second: Asked | None) -> str:
    """Return the apply that belongs to a plan."""
    said = "broker policy apply"
    if folder:
        said += f" --from {shlex.quote(str(folder))}"
    said += f" --base {found.base[:_SHOWN]}"
    said += f" --set {found.digest[:_SHOWN]}"
    said += " --why TEXT"
    if second:
        said += second.options
    return said
