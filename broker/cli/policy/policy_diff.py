"""The command that compares two policy sets by what they decide."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.app import policy_configuration
from broker.cli.output import (
    CHANGES,
    CONFIGURATION,
    as_json,
    existing_folder,
    printing_faults,
    show_progress,
)
from broker.configuration.policies.git_revisions import folder_at
from broker.core.login.site import find_named_services
from broker.core.policy_analysis.differences import find_differences
from broker.core.policy_analysis.sample_logins import Analysis
from broker.use_cases.policy_trials.rendering import change_row, change_sentences, every_change

_SETS: Final = 2  # that are compared
# In the URI of an entity category, which is not reported: it may have no member yet.
_CATEGORY: Final = "://"


@click.command("diff", short_help="Show what changes from one set of policies to another.")
@click.argument("folders", metavar="[OLD] [NEW]", type=existing_folder, nargs=-1)
@click.option(
    "--git",
    "revisions",
    metavar="REV",
    multiple=True,
    help="Compare NEW with this Git revision of it; given twice, compare two revisions.",
)
@click.option("--all", "all_rows", is_flag=True, help="List each change by itself, with its line.")
@as_json
@printing_faults
def diff_policies(
    folders: tuple[Path, ...], revisions: tuple[str, ...], *, all_rows: bool, as_json: bool
) -> None:
    """Show what changes for whom from the policies of folder OLD to those of folder NEW.

    If both folders have a broker.toml, their institutions, methods and attribute maps are compared
    too. With --git REV the old set is NEW as of that revision. NEW is by default the configured
    folder, or ./policies without BROKER_CONFIG. Every kind of login is tried at every service by
    both sets. WIDER means one more attribute, value, service or receiver, a longer memory, or one
    proof or requirement less. Exit 0 without a change, 3 with changes, 78 if an example or a site
    rule fails.
    """
    now = datetime.now(UTC)
    with _open_folders(folders, revisions) as both:
        analysis, failures = policy_configuration.open_comparison(both, now, show_progress)
    found = find_differences(analysis)
    if as_json:
        before, after = (policies.digest for policies in analysis.sets)
        facts = {
            "before": before,
            "after": after,
            "rows": [change_row(row, analysis.sets) for row in found.rows],
            "asked_again": found.asked_again,
            "logins": found.logins,
            "unconfigured": _find_unconfigured(analysis),
            "failures": [asdict(each) for each in failures],
        }
        click.echo(json.dumps(facts, indent=2))
    else:
        labels = {each.name: each.label for each in analysis.services}
        lines = change_sentences(found, analysis.sets, labels)
        if all_rows:
            lines = every_change(found, analysis.sets)
        click.echo("\n".join(lines))
    for name in _find_unconfigured(analysis):
        click.echo(f"not compared: no service {name!r} is configured", err=True)
    for failure in failures:
        click.echo(str(failure), err=True)
    if failures:
        raise SystemExit(CONFIGURATION)
    if found.rows:
        raise SystemExit(CHANGES)


def _find_unconfigured(analysis: Analysis) -> list[str]:
    """Return the services that entries name and that are not configured."""
    there = {name for each in analysis.services for name in (each.name, *each.categories)}
    named = find_named_services(analysis.sets)
    return sorted(name for name in named - there if _CATEGORY not in name)


@contextmanager
def _open_folders(
    folders: tuple[Path, ...], revisions: tuple[str, ...]
) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of the old and the new set; usage errors and ConfigurationFaults."""
    if not revisions and len(folders) != _SETS:
        raise click.UsageError("name the folders OLD and NEW, or --git REV and NEW")
    if revisions and (len(folders) > 1 or len(revisions) > _SETS):
        raise click.UsageError("with --git, name at most one folder (NEW) and two revisions")
    with ExitStack() as extracted:
        if revisions:
            folder = folders[0] if folders else policy_configuration.default_folder()
            read = [extracted.enter_context(folder_at(folder, each)) for each in revisions]
            folders = (*read, folder)
        yield folders[0], folders[1]
