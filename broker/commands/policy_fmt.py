"""The command that gives policy files the usual layout."""

import json
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import click

from broker.app import policy_layouts
from broker.app.policy_layouts import PolicyLayout
from broker.commands.output import CHANGES, as_json, folder, printing_faults


@click.command("fmt", short_help="Give the policy files the usual layout.")
@folder
@click.option("--check", is_flag=True, help="Change nothing; exit 3 where a file would change.")
@as_json
@printing_faults
def format_policies(folder: Path | None, *, check: bool, as_json: bool) -> None:
    """Put the keys of the policy files of FOLDER in the order of the format, and their indents.

    What they say stays the same, with every comment and empty line. Without FOLDER those
    configured, or ./policies where BROKER_CONFIG is not set. With --check the names of the files
    that would change are printed, and what of them. Exit 78 where a file is not YAML: none is
    changed then.
    """
    found = policy_layouts.layouts(folder)
    changed = [each for each in found if each.changed]
    if not check:
        for each in changed:
            each.write()
    if as_json:
        facts = {"files": len(found), "changed": [str(each.path) for each in changed]}
        differences = {"diff": "".join(map(_difference, changed))} if check else {}
        click.echo(json.dumps(facts | differences, indent=2))
    else:
        click.echo("\n".join(_lines(changed, many=len(found), check=check)))
    if check and changed:
        raise SystemExit(CHANGES)


def _lines(changed: list[PolicyLayout], *, many: int, check: bool) -> Iterator[str]:
    if not changed:
        yield f"{many} files are in the usual layout"
    for each in changed:
        yield f"would be formatted: {each.path}" if check else f"formatted: {each.path}"
        if check:
            yield _difference(each).rstrip("\n")


def _difference(layout: PolicyLayout) -> str:
    """Return what would change, line by line."""
    before, after = (text.splitlines(keepends=True) for text in (layout.before, layout.after))
    return "".join(unified_diff(before, after, str(layout.path), str(layout.path)))
