"""The commands over enrolments and cases: list, show, retry."""

from functools import partial
from typing import Final

import click

from broker.app import diagnostics, enrolment_operations
from broker.cli.output import as_json, printing_faults, show, show_done


def _joined(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> str:
    """Return a help code that was typed with a space, as it is read aloud, in one."""
    return " ".join(words)


_named: Final = partial(
    click.argument, "name", nargs=-1, callback=_joined, metavar="CODE|NUMBER|ID"
)


@click.group()
def enrolments() -> None:
    """List, show and retry enrolments and cases.

    CODE is the help code on the person's page, NUMBER the library system's own borrower number, ID
    the id of a person in the list.
    """


@enrolments.command("list")
@as_json
@printing_faults
def list_enrolments(*, as_json: bool) -> None:
    """List open cases and enrolments that have failed for 15 minutes, oldest first."""
    search = enrolment_operations.search(diagnostics.opened())
    rows = [enrolment.as_row() for enrolment in search.cases.list_open()]
    click.echo(f"{len(rows)} open", err=True)
    show(rows, as_json=as_json)


@enrolments.command("show", short_help="Show an enrolment or case, and what to do.")
@_named(required=True)
@as_json
@printing_faults
def show_enrolment(name: str, *, as_json: bool) -> None:
    """Show an enrolment or case: what is the matter, what to do, and its borrowers."""
    found = enrolment_operations.find_person(diagnostics.opened(), name)
    show([enrolment_operations.describe_person(found)], as_json=as_json, alone=True)


@enrolments.command("retry", short_help="Try an enrolment again.")
@_named(required=False)
@click.option("--all", "reason", metavar="REASON", help="Retry every open one of this reason.")
@as_json
@printing_faults
def retry_enrolment(name: str, reason: str | None, *, as_json: bool) -> None:
    """Try an enrolment or case again, after the library system was corrected."""
    if bool(name) == bool(reason):
        raise click.UsageError("name one enrolment, or a reason with --all")
    parts = diagnostics.opened()
    listed = parts.enrolment_cases
    if reason:
        count = listed.try_all_again(reason)
        show_done(f"{count} are tried again", as_json=as_json, reason=reason, retried=count)
        return
    enrolment = enrolment_operations.find_enrolment(parts, name)
    if not listed.try_again(enrolment.person_id):
        raise click.ClickException("there is nothing left to try")
    show_done("it is tried again now", as_json=as_json, person=enrolment.person_id, retried=1)
