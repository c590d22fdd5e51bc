"""The commands over the message log: make its key pair, and read it with the private key."""

import json
from datetime import date, datetime
from pathlib import Path

import click

from broker.adapters.observability import sealed_message_log
from broker.cli.output import DAY, FINDINGS, existing_folder, printing_faults

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def messages() -> None:
    """Make the key pair of the message log, and read the log."""


@messages.command(short_help="Make the key pair of the message log.")
@click.argument("private", type=click.Path(path_type=Path))
@click.argument("public", type=click.Path(path_type=Path))
@printing_faults
def keys(private: Path, public: Path) -> None:
    """Write a new key pair.

    PUBLIC is for message_log.public_key. Never store PRIVATE on a machine of the broker.
    """
    sealed_message_log.make_pair(private, public)
    what = f"move {private} elsewhere and keep a copy: without it nobody can read the log"
    click.echo(f"{public} is for the broker; {what}")


@messages.command(short_help="Print messages with the private key.")
@click.argument("folder", type=existing_folder)
@click.option("--key", "private", type=_FILE, required=True, help="The private key.")
@click.option("--from", "first", type=DAY, help="First day.")
@click.option("--to", "last", type=DAY, help="Last day.")
@click.option("--reference", help="Only the login with this help code.")
@printing_faults
def read(
    folder: Path,
    private: Path,
    first: datetime | None,
    last: datetime | None,
    reference: str | None,
) -> None:
    """Print the messages of FOLDER as lines of JSON. Exit 1 if a line cannot be opened.

    The messages hold CPR numbers: protect what you print.
    """
    unread = 0
    from_day = first.date() if first else date.min
    to_day = last.date() if last else date.max
    for record in sealed_message_log.read(folder, private, from_day, to_day):
        if record is None:
            unread += 1
        elif reference in {None, record["reference"]}:
            click.echo(json.dumps(record, ensure_ascii=False))
    if unread:
        what = "cut short, changed, moved to another day or sealed for another key"
        click.echo(f"{unread} lines cannot be opened: {what}", err=True)
        raise SystemExit(FINDINGS)
