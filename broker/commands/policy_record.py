"""The command that writes the record for the data protection officer."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from broker.adapters.web.report import report_pages
from broker.app import policy_record
from broker.commands.output import existing_folder, printing_faults

_OURS: Final = re.compile(r"(report|service-[a-z0-9-]+)-(da|en)\.html")


@click.command("report", short_help="Write who gets what, for the data protection officer.")
@click.option(
    "--html",
    "into",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write HTML files there: the whole, and one for the owner of each service.",
)
@click.option("--lang", type=click.Choice(("da", "en")), help="One language; without it both.")
@click.option(
    "--from", "folder", metavar="FOLDER", type=existing_folder, help="Policies to report."
)
@click.option("--date", "day", type=click.DateTime(("%Y-%m-%d",)), help="The day it is made for.")
@printing_faults
def report(into: Path | None, lang: str | None, folder: Path | None, day: datetime | None) -> None:
    """Write who gets what, why and on which terms, by the set in force."""
    if into is None:
        raise click.UsageError("name a folder to write to: --html DIR")
    _refuse_others(into)
    found = policy_record.made(folder, day.date() if day else None)
    into.mkdir(parents=True, exist_ok=True)
    languages = (lang,) if lang else tuple(report_pages.LANGUAGES)
    written = 0
    for name, text in report_pages.files(found, languages):
        (into / name).write_text(text, encoding="utf-8")
        written += 1
    click.echo(f"{written} files in {into}, {found.day}")


def _refuse_others(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier report."""
    if not folder.is_dir():
        return
    others = sorted(path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name))
    if others:
        what = f"{folder} holds other files ({others[0]}): name a new folder"
        raise click.UsageError(what)
