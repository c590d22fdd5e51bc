"""The commands over enrolments and cases: list and retry."""

import click

from broker.app import assembly
from broker.cli.output import as_json, printing_faults, show, show_done
from broker.cli.person import find_person


@click.group(short_help="List and retry enrolments and cases.")
def enrolments() -> None:
    """List and retry enrolments and cases. "broker person show" shows one of them."""


@enrolments.command("list", short_help="List open cases and failing enrolments.")
@as_json
@printing_faults
def list_enrolments(*, as_json: bool) -> None:
    """List open cases and enrolments that have failed for 15 minutes, oldest first."""
    rows = [enrolment.as_row() for enrolment in assembly.open_broker().enrolment_cases.list_open()]
    click.echo(f"{len(rows)} open", err=True)
    show(rows, as_json=as_json)


@enrolments.command("retry", short_help="Try an enrolment or case again.")
@click.argument("name", nargs=-1, metavar="[CODE|NUMBER|ID]")
@click.option("--all", "reason", metavar="REASON", help="Retry every open one with this reason.")
@as_json
@printing_faults
def retry_enrolment(name: tuple[str, ...], reason: str | None, *, as_json: bool) -> None:
    """Try an enrolment or case again, after the library system was corrected.

    CODE is the help code on the person's page, NUMBER the borrower number of the library system,
    ID a person id from "broker enrolments list".
    """
    if bool(name) == bool(reason):
        raise click.UsageError("name one enrolment, or a reason with --all")
    parts = assembly.open_broker()
    cases = parts.enrolment_cases
    if reason:
        count = cases.try_all_again(reason)
        show_done(f"{count} will be tried again", as_json=as_json, reason=reason, retried=count)
        return
    found = find_person(parts, " ".join(name))
    if found.enrolment is None:
        raise click.ClickException(f"there is no enrolment: {found.as_row()['action']}")
    person_id = found.enrolment.person_id
    if not cases.try_again(person_id):
        raise click.ClickException("this enrolment is done: there is nothing to try again")
    show_done("it will be tried again now", as_json=as_json, person=person_id, retried=1)
