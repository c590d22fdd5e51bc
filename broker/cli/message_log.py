"""The commands around the message log: its key pair, and reading it where the private key is."""

import json
from datetime import date
from pathlib import Path

import click

from broker.adapters.observability import sealed_message_log
from broker.cli.output import FINDINGS, printing_faults

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _day(_: click.Context, __: click.Parameter, written: str | None) -> date | None:
    if not written:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise click.BadParameter("write a day as 2026-11-25") from None


@click.group()
def messages() -> None:
    """Make the key pair of the message log, and read the log where its private key is."""


@messages.command(short_help="Make the key pair of the message log.")
@click.argument("private", type=click.Path(path_type=Path))
@click.argument("public", type=click.Path(path_type=Path))
@printing_faults
def keys(private: Path, public: Path) -> None:
    """Write a new key pair.

    PUBLIC is for message_log.public_key, PRIVATE belongs on no machine of the broker's.
    """
    sealed_message_log.make_pair(private, public)
    what = f"keep {private} elsewhere, and a copy: without it the log is unreadable"
    click.echo(f"{public} goes to the broker; {what}")


@messages.command(short_help="Print messages, opened with the private key.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--key", "private", type=_FILE, required=True, help="The private key.")
@click.option("--from", "first", callback=_day, help="First day.")
@click.option("--to", "last", callback=_day, help="Last day.")
@click.option("--reference", help="Only of the login with this reference.")
@printing_faults
def read(
    folder: Path, private: Path, first: date | None, last: date | None, reference: str | None
) -> None:
    """Print the messages of FOLDER as lines of JSON; exit 1 where a line cannot be opened.

    They hold CPR numbers: where they are printed to is yours to guard.
    """
    unread = 0
    for record in sealed_message_log.read(folder, private, first or date.min, last or date.max):
        if record is None:
            unread += 1
        elif reference in {None, record["reference"]}:
            click.echo(json.dumps(record, ensure_ascii=False))
    if unread:
        what = "torn, changed, moved to another day or sealed to another key"
        click.echo(f"{unread} lines are {what}", err=True)
        raise SystemExit(FINDINGS)
