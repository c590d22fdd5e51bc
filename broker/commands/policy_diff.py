"""The command that compares two policy sets by what they decide."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker.app import policy_analysis
from broker.commands.analysis_progress import told_progress
from broker.commands.output import CHANGES, as_json, existing_folder, printing_faults
from broker.core.analysis.compared_logins import Analysis
from broker.core.analysis.personas import example_login, words
from broker.core.analysis.set_differences import Difference, Row, difference
from broker.core.analysis.source_kinds import Vocabulary


@click.command("diff", short_help="Show what changes from one folder of policies to another.")
@click.argument("before", type=existing_folder)
@click.argument("after", type=existing_folder)
@as_json
@printing_faults
def diff_policies(before: Path, after: Path, *, as_json: bool) -> None:
    """Show who gets what else by the policies of AFTER than by those of BEFORE.

    Every class of logins is compared, at every service, and shown by a login that stands for it.
    WIDER is an attribute, a value, a service or a receiver more, or a proof or requirement less.
    Exit 0 without a change, 3 with changes.
    """
    now = datetime.now(UTC)
    found = policy_analysis.opened((before, after), now)
    analysis = Analysis(found.sets, found.site, now, told_progress(len(found.site.sources)))
    compared = difference(analysis)
    incomplete = analysis.incomplete()
    vocabulary = Vocabulary.of(found.sets)
    digests = [policies.digest for policies in found.sets]
    if as_json:
        rows = [_fields(row, vocabulary) for row in compared.rows]
        facts = {"before": digests[0], "after": digests[1], "rows": rows, "wider": compared.wider}
        facts |= {"same": compared.same, "pairs": compared.all_pairs, "classes": compared.classes}
        click.echo(json.dumps(facts | {"incomplete": incomplete}, indent=2))
    else:
        _show(compared, digests, vocabulary, configured=found.configured)
    for name in incomplete:
        click.echo(f"not complete: {name}: too many alternatives have changed", err=True)
    if compared.rows:
        raise SystemExit(CHANGES)


def _show(
    compared: Difference, digests: list[str], vocabulary: Vocabulary, *, configured: bool
) -> None:
    click.echo(f"{digests[0][:12]} -> {digests[1][:12]}")
    for row in compared.rows:
        change = row.change
        line = f"  ({'was ' if change.was else ''}{change.place})" if change.place else ""
        head = f"  {change.direction:<9} {row.service:<13} {row.affiliation}: {change.text}"
        click.echo(f"{head}{line}  e.g. {words(row.login, vocabulary)}")
    click.echo(f"  same      {compared.same} of {compared.all_pairs} affiliation x service")
    click.echo(f"  {compared.classes} classes of logins were compared")
    if not configured:
        click.echo("no BROKER_CONFIG: every upstream may say everything here", err=True)


def _fields(row: Row, vocabulary: Vocabulary) -> dict[str, Any]:
    change = row.change
    return {
        "direction": change.direction,
        "service": row.service,
        "affiliation": row.affiliation,
        "change": change.text,
        "line": str(change.place) if change.place else None,
        "was": change.was,
        "persona": words(row.login, vocabulary),
        "login": example_login(row.login, vocabulary),
        "classes": row.classes,
    }
