"""The command that writes the record for the data protection officer."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from broker.adapters.web.pages.language import LANGUAGES
from broker.adapters.web.report import report_pages
from broker.adapters.web.report.report_csv import as_csv
from broker.app import policy_configuration
from broker.app.named_configuration import configuration
from broker.cli.output import DAY, existing_folder, printing_faults, show_progress
from broker.core.report.policy_report import PolicyReport

_ONE_OF_TWO: Final = "say what to write: --html DIR, or --csv"
_OURS: Final = re.compile(r"(report|service-[a-z0-9-]+)-(da|en)\.html")


@click.command("report", short_help="Write who gets what, for the data protection officer.")
@click.option(
    "--html",
    "into",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write pages there: the whole, and one for the owner of each service.",
)
@click.option("--csv", "as_rows", is_flag=True, help="Print a line for each attribute that leaves.")
@click.option(
    "--lang",
    type=click.Choice(("da", "en")),
    help="The language; without it pages in both, and rows in that of the configuration.",
)
@click.option(
    "--from",
    "folder",
    metavar="FOLDER",
    type=existing_folder,
    help="Policies to report in place of those configured.",
)
@click.option("--date", "day", metavar="DAY", type=DAY, help="Report for that day, not today.")
@printing_faults
def report(
    into: Path | None, lang: str | None, folder: Path | None, day: datetime | None, *, as_rows: bool
) -> None:
    """Write which service receives what, why and on which terms.

    The report also covers the library system and the upstreams, the record of processing activities
    (GDPR article 30(1)), the retention of data, and the questions that the configuration does not
    answer. A DAY is written 2026-01-31.
    """
    if (into is None) is not as_rows:
        raise click.UsageError(_ONE_OF_TWO)
    if into is not None:
        _refuse_others(into)
    languages = (lang,) if lang else tuple(LANGUAGES)
    found = policy_configuration.make_report(folder, day.date() if day else None, show_progress)
    if into is None:
        rows = as_csv(found, lang or configuration().language)
        click.echo(rows, nl=False)
    else:
        _write(found, into, languages)


def _write(found: PolicyReport, into: Path, languages: tuple[str, ...]) -> None:
    into.mkdir(parents=True, exist_ok=True)
    written = dict(report_pages.files(found, languages))
    for name, text in written.items():
        (into / name).write_text(text, encoding="utf-8")
    endings = tuple(f"-{language}.html" for language in languages)
    for path in into.iterdir():
        if path.name.endswith(endings) and path.name not in written:
            path.unlink()  # an earlier report's, of a service that is no more
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
