"""The command that explains a refusal by the reference on its page."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from broker.app import refusal_explanations, refusal_text
from broker.app.refusal_explanations import Explanation
from broker.app.told_words import ENGLISH
from broker.commands.output import as_json, printing_faults
from broker.core.identity.cpr import looks_like_cpr
from broker.use_cases.policies.set_in_force import SetChange


@click.command(short_help="Explain a refusal by the reference on its page.")
@click.argument("reference", nargs=-1, required=True)
@as_json
@printing_faults
def explain(reference: tuple[str, ...], *, as_json: bool) -> None:
    """Explain a refusal by the REFERENCE on its page, as it is read aloud: bcdf ghjk.

    Says which rule refused then, as it was written then, and what the policies in force would make
    of the login now. Thirty days, through edits. Exit 1 for an unknown reference, and where no set
    of policies was ever in force.
    """
    typed = " ".join(reference)
    if looks_like_cpr(typed, apart=True):
        raise click.UsageError("a CPR number is no reference, and must not stand in a command")
    found = refusal_explanations.explained(refusal_explanations.opened(), typed, datetime.now(UTC))
    if found is None:
        raise click.ClickException("no page of the last thirty days had this reference")
    if as_json:
        click.echo(json.dumps(_row(found), indent=2))
        return
    for line in refusal_text.lines(found, ENGLISH):
        click.echo(line)


def _change(change: SetChange) -> dict[str, Any]:
    return {
        "at": change.at.isoformat(timespec="seconds"),
        "digest": change.digest,
        "how": str(change.move),
        "who": change.who,
        "why": change.why or None,
    }


def _row(found: Explanation) -> dict[str, Any]:
    """Return an explanation for programs."""
    replay = found.replay
    now: dict[str, Any] | None = None
    if replay:
        place = str(replay.place) if replay.place else None
        now = {**asdict(replay), "place": place}
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "step": found.step,
        "reason": found.reason,
        "upstream": found.upstream,
        "stranger": found.stranger,
        "refused": asdict(found.refused) if found.refused else None,
        "replaced": _change(found.replaced) if found.replaced else None,
        "in_force": found.in_force,
        "now": now,
        "gone": str(found.gone) if found.gone else None,
    }
