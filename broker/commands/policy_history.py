"""The commands that look back on the policies in force, and undo a change."""

import json
import re
from pathlib import Path
from typing import Any, Final

import click

from broker.app import policy_moves, policy_operations
from broker.app.policy_moves import Order
from broker.commands.output import as_json, printing_faults, show, show_done
from broker.commands.policy_apply import show_applied, wait_option, why_option
from broker.commands.policy_signing import brought_by, second_person, showing_what_to_sign
from broker.core.policy.site_record import site_digest
from broker.use_cases.policies.set_in_force import SetChange

_SHOWN: Final = 12
_DIGEST: Final = re.compile("[0-9a-f]{4,64}")


def _checked_digest(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None and not _DIGEST.fullmatch(text):
        what = "must be the beginning of a digest, as broker policy history prints it"
        raise click.BadParameter(what)
    return text


# How the first set comes into the history, by policy.live.
_FIRST: Final = {
    "apply": "broker serve adds its folder, or broker policy apply --base none",
    "save": "broker serve notes its folder, and each edit of it",
}

_digest: Final = click.argument(
    "name", metavar="[DIGEST]", required=False, callback=_checked_digest
)


@click.command("history", short_help="Show which policies were in force, and by whom.")
@as_json
@printing_faults
def show_history(*, as_json: bool) -> None:
    """Show every change of the policies in force of the last five years, the newest first."""
    desk = policy_operations.opened()
    rows = [_row(change) for change in policy_operations.history(desk)]
    show(rows, as_json=as_json)
    if not rows and not as_json:
        click.echo(f"no set was in force yet: {_FIRST[desk.settings.policy.live]}")
    if missing := policy_operations.lost(desk):
        click.echo(f"warning: {missing}", err=True)


@click.command("show", short_help="Show a set of the history, or write it into a folder.")
@_digest
@click.option(
    "--out",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write the files there; it must not be there yet.",
)
@as_json
@printing_faults
def show_set(name: str | None, out: Path | None, *, as_json: bool) -> None:
    """Show the set of DIGEST, or the one in force: who put it there and why, and its files."""
    if out is not None and out.exists():
        raise click.UsageError(f"{out} is there already: name a new folder")
    change, files = policy_operations.shown(policy_operations.opened(), name)
    if out is not None:
        out.mkdir(parents=True)
        for file, octets in files.items():
            (out / file).write_bytes(octets)
        sentence = f"{len(files)} files of {change.digest[:_SHOWN]} written into {out}"
        show_done(sentence, as_json=as_json, digest=change.digest, folder=str(out))
        return
    texts = {file: octets.decode("utf-8", "replace") for file, octets in files.items()}
    if as_json:
        click.echo(json.dumps(_row(change) | {"files": texts}, indent=2, default=str))
        return
    show([_row(change)], as_json=False, alone=True)
    for file, text in texts.items():
        click.echo(f"\n# --- {file}\n{text}", nl=False)


@click.command("rollback", short_help="Put an earlier set in force again.")
@_digest
@why_option
@second_person
@wait_option
@as_json
@printing_faults
def roll_back(
    name: str | None, why: str, signed: tuple[Path, ...], wait: float, *, alone: bool, as_json: bool
) -> None:
    """Put the set of DIGEST in force again, or the one before that in force.

    Dates that have passed stop nothing; names that the configuration has no more do. A set that was
    in force within 30 days needs no second person. Exit codes as of apply.
    """
    desk = policy_operations.opened()
    order = Order(why, patience=wait, brought=brought_by(desk, signed, alone=alone))
    with showing_what_to_sign():
        done = policy_moves.rolled_back(desk, name, order)
    show_applied(done, as_json=as_json)


def _row(change: SetChange) -> dict[str, Any]:
    return {
        "number": change.number,
        "at": change.at.isoformat(timespec="seconds"),
        "digest": change.digest[:_SHOWN],
        "from": change.base[:_SHOWN] if change.base else None,
        "how": str(change.move),
        "who": change.who,
        "why": change.why or None,
        "site": site_digest(change.site)[:_SHOWN],
        "changes": change.summary,
        "breaks": change.broken or None,
        "approved_by": change.approved_by or None,
        "alone": change.alone or None,
    }
