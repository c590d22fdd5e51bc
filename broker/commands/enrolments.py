"""The commands over enrolments: list, show, retry, confirm, run."""

import click

from broker.app import diagnostics
from broker.commands.output import as_json, printing_faults, show, waiting


@click.group()
def enrolments() -> None:
    """Look after borrowers that are wanted, made, or waiting for staff."""


@enrolments.command("list")
@as_json
@printing_faults
def list_enrolments(*, as_json: bool) -> None:
    """List every enrolment; nothing personal but the borrower number."""
    rows = list(diagnostics.opened().cases.rows())
    click.echo(f"{len(rows)} enrolments", err=True)
    show(rows, as_json=as_json)


@enrolments.command("show")
@click.argument("enrolment")
@as_json
@printing_faults
def show_enrolment(enrolment: str, *, as_json: bool) -> None:
    """Show one enrolment by its id."""
    row = diagnostics.opened().cases.show(enrolment)
    if row is None:
        raise click.ClickException("no such enrolment; broker enrolments list shows their ids")
    show([row], as_json=as_json, alone=True)


@enrolments.command("retry", short_help="Try an enrolment again.")
@click.argument("enrolment")
@printing_faults
def retry_enrolment(enrolment: str) -> None:
    """Try an enrolment again, after what it stood at has been put right."""
    if not diagnostics.opened().cases.retry(enrolment):
        raise click.ClickException("no such enrolment, or nothing left to try")
    click.echo("it is due now")


@enrolments.command("confirm", short_help="Confirm whose a temporary borrower is.")
@click.argument("enrolment")
@printing_faults
def confirm_enrolment(enrolment: str) -> None:
    """Confirm that a temporary borrower of another name is the person's who proved it."""
    if not diagnostics.opened().cases.confirm(enrolment):
        raise click.ClickException("no such enrolment, or none that waits for a confirmed name")
    click.echo("it is due now")


@enrolments.command("run", short_help="Carry out what is due now, and end.")
@printing_faults
def run_enrolments() -> None:
    """Carry out everything that is due now, and end."""
    enrolments = diagnostics.opened().enrolments
    if enrolments.mode != "live":
        what = "nothing is carried out"
        raise click.ClickException(f"library.mode is {enrolments.mode}: {what}")
    carried_out = 0
    with waiting("carrying out what is due"):
        while enrolments.step() is not None:
            carried_out += 1
    click.echo(f"{carried_out} carried out")
