"""The commands over enrolments: list, show, look, retry, confirm, end, run."""

from functools import partial
from typing import Final

import click

from broker.app import diagnostics, enrolment_operations
from broker.commands.output import FINDINGS, as_json, printing_faults, show, show_done, waiting


def _joined(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> str:
    """Return a reference that was typed with a space, as it is read aloud, in one."""
    return " ".join(words)


_several: Final = partial(click.argument, "name", nargs=-1, required=True, callback=_joined)
_named: Final = _several(metavar="ID|REFERENCE")


@click.group()
def enrolments() -> None:
    """Look after borrowers that are wanted, made, or waiting for staff.

    An enrolment is named by its id, or by the reference on the page of the person it held up, as it
    is read aloud: bcdf ghjk.
    """


@enrolments.command("list")
@as_json
@printing_faults
def list_enrolments(*, as_json: bool) -> None:
    """List every enrolment, cases first; nothing personal but borrower numbers."""
    rows = list(diagnostics.opened().cases.rows())
    click.echo(f"{len(rows)} enrolments", err=True)
    show(rows, as_json=as_json)


@enrolments.command("show", short_help="Show an enrolment or case, and what to do.")
@_named
@as_json
@printing_faults
def show_enrolment(name: str, *, as_json: bool) -> None:
    """Show an enrolment or case: its cause, its borrowers, what to do, what a retry would do."""
    row = enrolment_operations.shown(diagnostics.opened(), name)
    show([row], as_json=as_json, alone=True)


@enrolments.command("look", short_help="Ask the library system again about a borrower.")
@_several(metavar="NUMBER|ID|REFERENCE")
@as_json
@printing_faults
def look_at_borrower(name: str, *, as_json: bool) -> None:
    """Ask the library system again, at once, about the borrowers of an enrolment, or of a number.

    NUMBER is the library system's own borrower number. What was remembered is believed no more.
    Exit 1 where a borrower is gone, lacks a card, is barred from lending or has another's CPR
    number, or where the library system does not answer.
    """
    parts = diagnostics.opened()
    with waiting("asking the library system"):
        looked = enrolment_operations.looked(parts, name)
    show(looked.rows, as_json=as_json)
    for sentence in looked.sentences:
        click.echo(sentence, err=True)
    if looked.sentences:
        raise SystemExit(FINDINGS)


@enrolments.command("retry", short_help="Try an enrolment again.")
@_named
@as_json
@printing_faults
def retry_enrolment(name: str, *, as_json: bool) -> None:
    """Try an enrolment again, after what it stood at has been put right."""
    parts = diagnostics.opened()
    row = enrolment_operations.shown(parts, name)
    if not parts.cases.retry(str(row["id"])):
        what = "nothing is left to try, or it says something else by now"
        raise click.ClickException(f"{what}. {row['retry_would']}")
    due = bool(row["wish_until"] or row["due"])
    sentence = "it is due now" if due else str(row["retry_would"])
    show_done(sentence, as_json=as_json, id=row["id"], due=due)


@enrolments.command("confirm", short_help="Confirm whose a temporary borrower is.")
@_named
@click.argument("borrower")
@as_json
@printing_faults
def confirm_enrolment(name: str, borrower: str, *, as_json: bool) -> None:
    """Confirm that the temporary BORROWER of another name is the person's who proved it.

    Or that BORROWER is to get the CPR number that the register has given its person anew.

    BORROWER is the library system's own number, as `show` names it.
    """
    parts = diagnostics.opened()
    named = enrolment_operations.named(parts, name)
    if not parts.cases.confirm(named, borrower):
        what = "it does not wait for a confirmed name or number of that borrower"
        raise click.ClickException(f"{what}; broker enrolments show {name} says of which")
    show_done("it is due now", as_json=as_json, id=named, due=True)


@enrolments.command("end", short_help="End a case or notice.")
@_named
@as_json
@printing_faults
def end_case(name: str, *, as_json: bool) -> None:
    """End a case or notice: it is listed no more, and its person begins anew at the next login."""
    parts = diagnostics.opened()
    named = enrolment_operations.named(parts, name)
    if not parts.cases.end(named):
        what = "it is neither a case nor a notice, or it says something else by now"
        raise click.ClickException(f"{what}: nothing is ended")
    sentence = "ended; the person begins anew at the next login"
    show_done(sentence, as_json=as_json, id=named, ended=True)


@enrolments.command("run", short_help="Carry out what is due now, and end.")
@as_json
@printing_faults
def run_enrolments(*, as_json: bool) -> None:
    """Carry out everything that is due now, look-ups in the register of persons too, and end."""
    parts = diagnostics.opened()
    enrolments, look_ups = parts.enrolments, parts.look_ups
    if enrolments.mode != "live":
        what = "nothing is carried out"
        raise click.ClickException(f"library.mode is {enrolments.mode}: {what}")
    carried_out = 0
    with waiting("carrying out what is due"):
        while enrolments.step() is not None:
            carried_out += 1
        while look_ups is not None and look_ups.step():
            carried_out += 1
    show_done(f"{carried_out} carried out", as_json=as_json, carried_out=carried_out)
