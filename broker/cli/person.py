"""The commands for a person who calls, asks what is stored about them, or asks to be deleted."""

import json
import sys
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import click

from broker.app import assembly
from broker.app.assembly import Parts
from broker.cli.output import CHANGES, FINDINGS, as_json, printing_faults, show
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.person_id import PersonIds
from broker.use_cases.personal_data.stored_data import NoPerson
from broker.use_cases.staff.staff_search import FoundPerson

_STAFF_ID: Final = "shell"  # unknown help codes that are typed in a shell are counted together

P = ParamSpec("P")
R = TypeVar("R")
Login = tuple[str, str, str]


@click.group()
def person() -> None:
    """Show, export or delete what is stored about a person.

    Name the person with --borrower, or type a CPR number on standard input, or use --login for the
    identifier of a login without CPR number. A CPR number is never an argument, because shells and
    machines write arguments down.
    """


def _add_name_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that name a person."""
    add_borrower = click.option("--borrower", help="The borrower number of the library system.")
    add_login = click.option(
        "--login",
        nargs=3,
        metavar="UPSTREAM INSTITUTION TYPE",
        help="Where the identifier on standard input comes from, and its type (subject-id).",
    )
    return add_borrower(add_login(command))


@person.command("show", short_help="Show a person as the staff view does.")
@click.argument("name", nargs=-1, metavar="[CODE|NUMBER|ID]")
@_add_name_options
@as_json
@printing_faults
def show_person(
    name: tuple[str, ...], borrower: str | None, login: Login | None, *, as_json: bool
) -> None:
    """Show a person: the page they were on, the enrolment or case, what to do, and the mails.

    CODE is the help code on the person's page, NUMBER the borrower number of the library system,
    ID a person id from "broker enrolments list".
    """
    parts = assembly.open_broker()
    typed = " ".join(name)
    if not typed:
        typed = _find(parts, borrower, login).ids[0]
    show([find_person(parts, typed).as_row()], as_json=as_json, is_single=True)


def find_person(parts: Parts, typed: str) -> FoundPerson:
    """Return the person of a help code, borrower number or person id; raises NoPerson.

    The error does not quote what was typed: it may be a CPR number.
    """
    if looks_like_cpr(typed, apart=True):
        raise NoPerson("a CPR number is no argument: type it on standard input")
    found = parts.staff_search.find(typed.strip(), _STAFF_ID)
    if found is None:
        raise NoPerson("no page of the last 30 days has this code, and nobody this number or id")
    return found


@person.command(short_help="Print everything that is stored about a person (GDPR article 15).")
@_add_name_options
@printing_faults
def export(borrower: str | None, login: Login | None) -> None:
    """Print what is stored about a person as JSON, and which services received data.

    CPR numbers are masked. Mail texts and secrets are left out.
    """
    parts = assembly.open_broker()
    stored = parts.stored_data.export(_find(parts, borrower, login))
    click.echo(json.dumps(stored, indent=2, ensure_ascii=False))


@person.command(short_help="Delete what is stored about a person (GDPR article 17).")
@_add_name_options
@click.option("--yes", is_flag=True, help="Delete. Without it the command shows what would go.")
@click.option(
    "--replay",
    is_flag=True,
    help="After a backup of the store was restored: delete everybody in forgotten.log again.",
)
@as_json
@printing_faults
def forget(
    borrower: str | None, login: Login | None, *, yes: bool, replay: bool, as_json: bool
) -> None:
    """Delete logins, the person record, mails and the keys of the audit log of a person.

    After a crash repeat the command. It exits with 3 without --yes, and with 1 if something is
    still in the files of the store.
    """
    if replay:
        if borrower or login:
            raise click.UsageError("--replay is for everybody in forgotten.log: name no person")
        stored = assembly.open_broker().stored_data
        count = stored.replay()
        _show_outcome({"person_ids": count, "pending": list(stored.purge())}, as_json=as_json)
        return
    parts = assembly.open_broker()
    stored = parts.stored_data
    found = _find(parts, borrower, login)
    exported = stored.export(found)
    outcome: dict[str, Any] = {
        "forgotten": yes,
        "kinds": sorted({each["kind"] for each in exported["kept"]}),
        "events": len(exported["events"]),
        "recipients": exported["recipients"],
        "pending": [],
    }
    click.echo("What is deleted cannot be brought back.", err=True)
    if yes:
        stored.forget(found)
        outcome["pending"] = list(stored.purge())
    _show_outcome(outcome, as_json=as_json)
    if not yes:
        click.echo("Nothing is deleted yet: repeat the command with --yes.", err=True)
        raise SystemExit(CHANGES)


def _show_outcome(outcome: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done. Exit 1 if something is still in the files of the store."""
    show([outcome], as_json=as_json, is_single=True)
    if outcome["pending"]:
        raise SystemExit(FINDINGS)


def _find(parts: Parts, borrower: str | None, login: Login | None) -> PersonIds:
    if looks_like_cpr(borrower or "", apart=True):
        raise click.UsageError("a CPR number is no argument: type it on standard input")
    if borrower is not None:
        return parts.stored_data.find(borrower=borrower)
    if sys.stdin.isatty():
        typed = click.prompt("CPR number or identifier", hide_input=True, err=True)
    else:
        typed = sys.stdin.readline().strip()
    if not typed:
        what = "a CPR number or an identifier on standard input, or --borrower"
        raise click.UsageError(f"name the person: {what}")
    return parts.stored_data.find(typed, login)
