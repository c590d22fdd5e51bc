"""The command that surveys the borrowers of the library system."""

import json

import click

from broker.app import assembly
from broker.cli.output import as_json, printing_faults, waiting
from broker.core.borrowers.library_setup import ExpectedSetup
from broker.core.borrowers.library_survey import LibrarySurvey

_MEANINGS = {
    "borrowers": "borrowers in the library system",
    "without_cpr": "have no CPR number; these people need a mailed code or their card number once",
    "doubled_cpr": "share a CPR number with another borrower; staff must merge them",
    "contradicting_birth_date": "have a birth date that differs from their CPR number",
    "without_email": "have no mail address, so that no code or PIN mail can be sent",
}


@click.group()
def library() -> None:
    """Look at the borrowers of the library system."""


@library.command("survey", short_help="Count the borrowers that need attention before going live.")
@as_json
@printing_faults
def survey_library(*, as_json: bool) -> None:
    """Read every borrower once and print counts (docs/going-live.md).

    The command writes nothing and shows nothing about a single borrower.
    """
    parts = assembly.open_broker()
    expected = ExpectedSetup.from_policies(parts.policies.current)
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
