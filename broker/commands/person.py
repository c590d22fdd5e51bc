"""The commands for a person who asks what is kept about them, or asks to be forgotten."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

from broker.app import (
    diagnostics,
    enrolment_operations,
    person_operations,
    person_page,
    person_report,
)
from broker.app.person_operations import ForgetOutcome, NamedPerson, PersonDesk
from broker.commands.output import FINDINGS, as_json, printing_faults, show, waiting
from broker.core.identity.cpr import looks_like_cpr

CHANGES: Final = 3
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_WARNING: Final = "What is forgotten cannot be brought back."

P = ParamSpec("P")
R = TypeVar("R")


@click.group()
def person() -> None:
    """Show what is kept about a person, or forget them.

    The person is named by a CPR number, or by an identifier of a login without CPR number, on
    standard input, or by --borrower. A CPR number is never an argument: shells and machines write
    those down.
    """


def _named(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that name a person."""
    options = (
        click.option("--borrower", help="The library system's own borrower number."),
        click.option(
            "--service",
            "services",
            multiple=True,
            help="A service that is gone and may have receipts of theirs; repeatable.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@person.command("show", short_help="Show a person as the staff view does.")
@click.argument("name", nargs=-1, required=True, metavar="CODE|NUMBER")
@as_json
@printing_faults
def show_person(name: tuple[str, ...], *, as_json: bool) -> None:
    """Show the enrolment of a person, what to do, and the mail addresses that they confirmed.

    CODE is the help code on the person's page, NUMBER the library system's own borrower number.
    """
    found = enrolment_operations.find_person(diagnostics.opened(), " ".join(name))
    show([enrolment_operations.describe_person(found)], as_json=as_json, alone=True)


@person.command(short_help="Show everything that is kept about a person (GDPR article 15).")
@_named
@click.option("--html", type=click.Path(path_type=Path), help="Write a page for the person here.")
@as_json
@printing_faults
def export(
    borrower: str | None, services: tuple[str, ...], html: Path | None, *, as_json: bool
) -> None:
    """Print what is kept about a person, why, for how long, from whom, and who was sent it.

    CPR numbers are masked; PINs and codes are left out.
    """
    named = _asked(borrower)
    desk = person_operations.desk(diagnostics.opened())
    report = person_report.report(desk, desk.found(named, services))
    if html is not None:
        _write_new(html, person_page.as_html(report))
        click.echo(f"{html} written; it is for the person only", err=True)
    if as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif html is None:
        click.echo(person_page.as_text(report), nl=False)


@person.command(short_help="Forget a person (GDPR article 17).")
@_named
@click.option("--yes", is_flag=True, help="Do it; without it is told what would go.")
@click.option("--resume", is_flag=True, help="End what was begun and cut short; for nobody new.")
@click.option(
    "--restored",
    is_flag=True,
    help="Forget again everybody who was, after a backup of the store was put back.",
)
@as_json
@printing_faults
def forget(
    borrower: str | None,
    services: tuple[str, ...],
    *,
    yes: bool,
    resume: bool,
    restored: bool,
    as_json: bool,
) -> None:
    """Forget a person: sessions, enrolments, PINs, proofs, receipts and the trail's keys.

    Exit 3 without --yes; exit 1 where something is pending in the files of the store.
    """
    if resume or restored:
        if borrower:
            raise click.UsageError("--resume and --restored are for everybody: name no person")
        _end_begun(restored=restored, as_json=as_json)
        return
    named = _asked(borrower)
    desk = person_operations.desk(diagnostics.opened())
    found = desk.found(named, services)
    report = person_report.report(desk, found)
    told = _told(desk, report)
    if not yes:
        _show_forgotten(told, as_json=as_json)
        raise SystemExit(CHANGES)
    with waiting("forgetting, and waiting for what is being carried out"):
        outcome = person_operations.forgotten(desk, found)
    _show_forgotten(_with_outcome(told, outcome), as_json=as_json)
    if outcome.pending:
        raise SystemExit(FINDINGS)


def _end_begun(*, restored: bool, as_json: bool) -> None:
    desk = person_operations.desk(diagnostics.opened())
    with waiting("forgetting"):
        outcome = person_operations.ended(desk, everything=restored)
    told = {"persons": outcome.count, "pending": list(outcome.pending)}
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"{outcome.count} persons forgotten")
        for sentence in outcome.pending:
            click.echo(f"pending: {sentence}", err=True)
    if outcome.pending:
        raise SystemExit(FINDINGS)


def _told(desk: PersonDesk, report: dict[str, Any]) -> dict[str, Any]:
    """Return what would be forgotten, what stays, and who is to be told."""
    kinds: dict[str, int] = {}
    for entry in report["kept"]:
        kinds[entry["kind"]] = kinds.get(entry["kind"], 0) + 1
    return {
        "warning": _WARNING,
        "forgotten": False,
        "kinds": kinds,
        "events": len(report["events"]),
        "stays": list(person_report.left(desk.parts)),
        "recipients": report["recipients"],
        "pending": [],
    }


def _with_outcome(told: dict[str, Any], outcome: ForgetOutcome) -> dict[str, Any]:
    return {**told, "forgotten": True, "pending": list(outcome.pending)}


def _show_forgotten(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    click.echo(told["warning"], err=True)
    counts = [f"{count} {kind}" for kind, count in told["kinds"].items()]
    listed = ", ".join((*counts, f"the keys of {told['events']} events"))
    click.echo(f"forgotten: {listed}" if told["forgotten"] else f"would be forgotten: {listed}")
    click.echo("stays:")
    show(told["stays"], as_json=False)
    click.echo("to be told (GDPR article 19):" if told["recipients"] else "nobody is to be told")
    show(told["recipients"], as_json=False)
    for sentence in told["pending"]:
        click.echo(f"pending: {sentence}", err=True)
    if not told["forgotten"]:
        click.echo("Nothing is done yet: say --yes.", err=True)


def _asked(borrower: str | None) -> NamedPerson:
    if looks_like_cpr(borrower or "", apart=True):
        # Shells and machines write arguments down.
        raise click.UsageError("a CPR number is no argument: it goes on standard input")
    if borrower is not None:
        return NamedPerson(borrower=borrower)
    if sys.stdin.isatty():
        return NamedPerson(click.prompt("CPR number or identifier", hide_input=True, err=True))
    typed = sys.stdin.readline().strip()
    if not typed:
        what = "a CPR number or an identifier on standard input, or --borrower"
        raise click.UsageError(f"name the person: {what}")
    return NamedPerson(typed)


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, for its owner only: it holds what a person is."""
    descriptor = os.open(path, _NEW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
