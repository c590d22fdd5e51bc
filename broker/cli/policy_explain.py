"""The command that explains a refusal by the reference on its page."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker.app import assembly, refusal_explanations
from broker.app.policy_words import ENGLISH
from broker.app.refusal_explanations import EarlierSet, Explanation
from broker.cli.output import as_json, existing_folder, printing_faults
from broker.core.identity.cpr import looks_like_cpr
from broker.core.login.replayed_refusal import Replay


@click.command(short_help="Explain a refusal by the reference on its page.")
@click.argument("reference", nargs=-1, required=True)
@click.option(
    "--policies",
    "folder",
    metavar="FOLDER",
    type=existing_folder,
    help="The folder that has the set of policies that decided then.",
)
@click.option("--git", is_flag=True, help="Look for that set in the Git history of the folder.")
@as_json
@printing_faults
def explain(reference: tuple[str, ...], folder: Path | None, *, git: bool, as_json: bool) -> None:
    """Explain a refusal by the REFERENCE on its page, as it is read aloud: bcdf ghjk.

    Says which rule refused then, as it was written then, and what the policies in force would make
    of the login now. Where another set decided then, --policies FOLDER or --git reads it, and the
    login is played by it again. References count for thirty days. Exit 1 for an unknown reference.
    """
    typed = " ".join(reference)
    if looks_like_cpr(typed, apart=True):
        raise click.UsageError("a CPR number is no reference, and must not stand in a command")
    now = datetime.now(UTC)
    parts = assembly.open_broker()
    found = refusal_explanations.explained(parts, typed, now)
    if found is None:
        raise click.ClickException("no page of the last thirty days had this reference")
    if git or folder:
        found = refusal_explanations.with_earlier_set(parts, found, folder, git=git, now=now)
    if as_json:
        click.echo(json.dumps(_row(found), indent=2))
        return
    for line in refusal_explanations.lines(found, ENGLISH):
        click.echo(line)
    if found.refused and found.refused.digest != found.in_force and found.earlier is None:
        click.echo("--git or --policies FOLDER plays the login by the set that decided", err=True)


def _earlier(earlier: EarlierSet) -> dict[str, Any]:
    return {"origin": earlier.origin, "outcome": _replay(earlier.replay)}


def _replay(replay: Replay) -> dict[str, Any]:
    return {**asdict(replay), "place": str(replay.place) if replay.place else None}


def _row(found: Explanation) -> dict[str, Any]:
    """Return an explanation for programs."""
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "step": found.step,
        "reason": found.reason,
        "upstream": found.upstream,
        "stranger": found.stranger,
        "refused": asdict(found.refused) if found.refused else None,
        "earlier": _earlier(found.earlier) if found.earlier else None,
        "in_force": found.in_force,
        "now": _replay(found.replay) if found.replay else None,
        "gone": str(found.gone) if found.gone else None,
    }
