"""The command that writes the record for the data protection officer."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from broker.adapters.web.pages.language import LANGUAGES
from broker.adapters.web.report import report_pages
from broker.app import policy_configuration
from broker.cli.output import DAY, existing_folder, printing_faults, show_progress
from broker.core.report.policy_report import PolicyReport

_OURS: Final = re.compile(r"(report|service-[a-z0-9-]+)-(da|en)\.html")


@click.command("report", short_help="Write who gets what, for the data protection officer.")
@click.option(
    "--html",
    "into",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Write pages there: the whole, and one for the owner of each service.",
)
@click.option("--lang", type=click.Choice(("da", "en")), help="The language; without it both.")
@click.option(
    "--from",
    "folder",
    metavar="FOLDER",
    type=existing_folder,
    help="Policies to report in place of those configured.",
)
@click.option("--date", "day", metavar="DAY", type=DAY, help="Report for that day, not today.")
@printing_faults
def report(into: Path, lang: str | None, folder: Path | None, day: datetime | None) -> None:
    """Write which service receives what, why and on which terms.

    The report also covers the library system and the upstreams, the record of processing activities
    (GDPR article 30(1)), the retention of data, and the questions that the configuration does not
    answer. A DAY is written 2026-01-31.
    """
    _refuse_others(into)
    languages = (lang,) if lang else tuple(LANGUAGES)
    found = policy_configuration.make_report(folder, day.date() if day else None, show_progress)
    _write(found, into, languages)


def _write(found: PolicyReport, into: Path, languages: tuple[str, ...]) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for path in into.iterdir():
        if path.stem.endswith(languages):
            path.unlink()  # of an earlier report, perhaps of a service that is no more
    written = dict(report_pages.files(found, languages))
    for name, text in written.items():
        (into / name).write_text(text, encoding="utf-8")
    questions = len(found.questions)
    click.echo(f"{len(written)} files in {into}, {questions} questions not answered")


def _refuse_others(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier report."""
    if not folder.is_dir():
        return
    others = sorted(path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name))
    if others:
        what = f"{folder} holds other files than a report ({others[0]}): name a new folder"
        raise click.UsageError(what)
