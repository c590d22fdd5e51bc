"""The command that explains a refusal by the reference on its page."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from broker.app import diagnostics, refusal_explanations
from broker.app.refusal_explanations import Explanation
from broker.commands.output import as_json, printing_faults
from broker.commands.played_text import plain
from broker.core.entities import Assurance
from broker.core.identity.cpr import looks_like_cpr
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay
from broker.flows.policies.set_in_force import SetChange

_NO_FACTS = "no facts of it were kept: the login was held up before the policies, or after them"


@click.command(short_help="Explain a refusal by the reference on its page.")
@click.argument("reference", nargs=-1, required=True)
@as_json
@printing_faults
def explain(reference: tuple[str, ...], *, as_json: bool) -> None:
    """Explain a refusal by the REFERENCE on its page, as it is read aloud: bcdf ghjk.

    Says which rule refused then, as it was written then, and what the policies in force would make
    of the login now. Thirty days, through edits. Exit 1 for an unknown reference.
    """
    typed = " ".join(reference)
    if looks_like_cpr(typed, apart=True):
        raise click.UsageError("a CPR number is no reference, and must not stand in a command")
    found = refusal_explanations.explained(diagnostics.opened(), typed, datetime.now(UTC))
    if found is None:
        raise click.ClickException("no page of the last thirty days had this reference")
    if as_json:
        click.echo(json.dumps(_row(found), indent=2))
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: Explanation) -> Iterator[str]:
    if found.stranger:
        yield f"nobody was logged in: {found.reason}, at {found.step}; of strangers nothing is kept"
        return
    refused = found.refused
    if refused is None:
        yield f"{found.step} {_when(found)}: {found.reason}"
        yield f"  {_NO_FACTS}"
        return
    parts = [f"refused {_when(found)} at {refused.service} by {refused.upstream}: {found.reason}"]
    parts.append(_then(refused, found))
    parts.append(_now(found))
    yield ";  ".join(parts)
    yield from (f"  near    {line}" for line in refused.near)
    yield f"  facts   {plain(', '.join(_facts(refused)))}"


def _when(found: Explanation) -> str:
    return f"{found.at:%Y-%m-%d %H:%M} UTC"


def _then(refused: RefusedFacts, found: Explanation) -> str:
    digest = refused.digest[:12]
    standing = "in force" if refused.digest == found.in_force else _replaced(found.replaced)
    line = f"{refused.line} ({refused.rule})" if refused.line and refused.rule else refused.line
    let_in = "the policies let them in, by " if refused.permitted else ""
    return f"{let_in}{line or 'no line'} of set {digest}, {standing}"


def _replaced(change: SetChange | None) -> str:
    """Say when, by whom and why another set came in its place, as far as the history goes."""
    if change is None:
        return "replaced since"
    why = f': "{change.why}"' if change.why else f", {change.move}"
    return f"replaced {change.at:%Y-%m-%d %H:%M} UTC ({plain(change.who + why)})"


def _now(found: Explanation) -> str:
    if found.gone:
        return f"cannot say what would come of it now: {found.gone}"
    if found.replay is None:
        return "cannot say what would come of it now"
    return f"in force now: {_outcome(found.replay)}"


def _outcome(replay: Replay) -> str:
    if replay.depends_on:
        return f"cannot say: depends on {', '.join(map(plain, replay.depends_on))}"
    if replay.permitted:
        return "permitted"
    rule = f", {replay.place} ({replay.rule})" if replay.place else ""
    return f"refused: {replay.reason}{rule}"


def _facts(refused: RefusedFacts) -> Iterator[str]:
    level = refused.assurance
    yield f"assurance {Assurance(level).name.lower() if level else 'none'}"
    yield f"cpr {refused.cpr}"
    if refused.age is not None:
        yield f"age {refused.age}"
    yield f"borrower {refused.borrower}"
    if refused.intent:
        yield f"intent {refused.intent}"
    values = dict(refused.values)
    for name in refused.present:
        yield f"{name} {' '.join(values[name])}" if name in values else name
    for name, code in refused.withheld:
        yield f"{name} withheld ({code})"


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
        "gone": found.gone or None,
    }
