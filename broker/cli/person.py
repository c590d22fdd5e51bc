"""The commands for a person who asks what is stored about them, or asks to be deleted."""

import json
import sys
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import click

from broker.app import diagnostics, enrolment_operations, personal_data
from broker.app.assembly import Parts
from broker.cli.output import FINDINGS, as_json, printing_faults, show
from broker.core.identity.cpr import looks_like_cpr
from broker.use_cases.personal_data.stored_data import PersonIds

CHANGES: Final = 3
_WARNING: Final = "What is forgotten cannot be brought back."

P = ParamSpec("P")
R = TypeVar("R")
Login = tuple[str, str, str]


@click.group()
def person() -> None:
    """Show what is stored about a person, or forget them.

    The person is named by --borrower, or on standard input by a CPR number, or with --login by an
    identifier of a login without CPR number. A CPR number is never an argument: shells and machines
    write those down.
    """


def _named(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that name a person."""
    options = (
        click.option("--borrower", help="The library system's own borrower number."),
        click.option(
            "--login",
            nargs=3,
            metavar="UPSTREAM INSTITUTION TYPE",
            help="What asserted the identifier on standard input, and its type, as subject-id.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@person.command("show", short_help="Show a person as the staff view does.")
@click.argument("name", nargs=-1, metavar="[CODE|NUMBER]")
@_named
@as_json
@printing_faults
def show_person(
    name: tuple[str, ...], borrower: str | None, login: Login | None, *, as_json: bool
) -> None:
    """Show the enrolment of a person, what to do, and the mail addresses that they confirmed.

    CODE is the help code on the person's page, NUMBER the library system's own borrower number.
    """
    parts = diagnostics.opened()
    if name:
        found = enrolment_operations.find_person(parts, " ".join(name))
    else:
        person_ids = _find(parts, borrower, login).ids
        by_id = enrolment_operations.search(parts).find_by_person(person_ids[0])
        if by_id is None:
            raise personal_data.NoPerson("there is no person record; broker person export has more")
        found = by_id
    show([enrolment_operations.describe_person(found)], as_json=as_json, alone=True)


@person.command(short_help="Print everything that is stored about a person (GDPR article 15).")
@_named
@printing_faults
def export(borrower: str | None, login: Login | None) -> None:
    """Print what is stored about a person as JSON, and the services that were sent something.

    CPR numbers are masked; mail texts and secrets are left out.
    """
    parts = diagnostics.opened()
    stored = personal_data.open_stored_data(parts).export(_find(parts, borrower, login))
    click.echo(json.dumps(stored, indent=2, ensure_ascii=False))


@person.command(short_help="Forget a person (GDPR article 17).")
@_named
@click.option("--yes", is_flag=True, help="Do it; without it is told what would go.")
@click.option(
    "--replay",
    is_flag=True,
    help="Forget again everybody in forgotten.log, after a backup of the store was restored.",
)
@as_json
@printing_faults
def forget(
    borrower: str | None, login: Login | None, *, yes: bool, replay: bool, as_json: bool
) -> None:
    """Forget a person: logins, the person record, mails and the keys of the audit log.

    The same command again is complete after a crash. Exit 3 without --yes; exit 1 where something
    is still in the files of the store.
    """
    if replay:
        if borrower or login:
            raise click.UsageError("--replay is for everybody in forgotten.log: name no person")
        count, pending = personal_data.replay(diagnostics.opened())
        _show_outcome({"person_ids": count, "pending": list(pending)}, as_json=as_json)
        return
    parts = diagnostics.opened()
    found = _find(parts, borrower, login)
    stored = personal_data.open_stored_data(parts).export(found)
    outcome: dict[str, Any] = {
        "forgotten": yes,
        "kinds": sorted({each["kind"] for each in stored["kept"]}),
        "events": len(stored["events"]),
        "stays": list(personal_data.list_remains(parts)),
        "recipients": stored["recipients"],
        "pending": [],
    }
    click.echo(_WARNING, err=True)
    if yes:
        outcome["pending"] = list(personal_data.forget(parts, found))
    _show_outcome(outcome, as_json=as_json)
    if not yes:
        click.echo("Nothing is done yet: say --yes.", err=True)
        raise SystemExit(CHANGES)


def _show_outcome(outcome: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done, and what is still in the files of the store; exit 1 for that."""
    show([outcome], as_json=as_json, alone=True)
    if outcome["pending"]:
        raise SystemExit(FINDINGS)


def _find(parts: Parts, borrower: str | None, login: Login | None) -> PersonIds:
    if looks_like_cpr(borrower or "", apart=True):
        raise click.UsageError("a CPR number is no argument: it goes on standard input")
    if borrower is not None:
        return personal_data.find_person(parts, borrower=borrower)
    if sys.stdin.isatty():
        typed = click.prompt("CPR number or identifier", hide_input=True, err=True)
    else:
        typed = sys.stdin.readline().strip()
    if not typed:
        what = "a CPR number or an identifier on standard input, or --borrower"
        raise click.UsageError(f"name the person: {what}")
    return personal_data.find_person(parts, typed=typed, login=login)
