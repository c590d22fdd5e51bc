"""The commands over the library system: survey."""

import json

import click

from broker.app import assembly
from broker.cli.output import as_json, printing_faults, waiting
from broker.core.borrowers.library_survey import LibrarySurvey
from broker.core.borrowers.library_system import ExpectedSetup

_MEANINGS = {
    "borrowers": "borrowers in the library system",
    "without_cpr": "have no CPR number; their owners are asked for a mailed code or a card number",
    "doubled_cpr": "have a CPR number that an earlier borrower has; staff must merge them",
    "contradicting_birth_date": "have another birth date than their CPR number says",
    "without_email": "have no mail address, so no code and no PIN mail reaches them",
}


@click.group()
def library() -> None:
    """Look at the borrowers of the library system."""


@library.command("survey", short_help="Count what going live will meet.")
@as_json
@printing_faults
def survey_library(*, as_json: bool) -> None:
    """Read every borrower once, and count what going live will meet (docs/going-live.md).

    Nothing is written, and nothing about a single borrower is shown.
    """
    parts = assembly.open_broker()
    expected = ExpectedSetup.of(parts.policies.current)
    survey = LibrarySurvey(frozenset(expected.categories))
    with waiting("reading every borrower"):
        survey.add_all(parts.library.list_borrowers())
    counts = survey.as_mapping()
    if as_json:
        click.echo(json.dumps(counts, indent=2))
        return
    for name, meaning in _MEANINGS.items():
        click.echo(f"{counts[name]:>8}  {meaning}")
    for category, count in survey.unnamed_categories.items():
        click.echo(f"{count:>8}  are in category {category}, which no policy names")
