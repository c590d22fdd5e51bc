"""How every command ends and prints: faults one a line, rows for people or for programs."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

from broker.app import inspection
from broker.core.errors import ConfigurationFaults

FINDINGS: Final = 1
CONFIGURATION: Final = 78

P = ParamSpec("P")
R = TypeVar("R")

folder = click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print for programs.")


def printing_faults(command: Callable[P, R]) -> Callable[P, R]:
    """Tell every fault, one a line on standard error: of the configuration, ending with 78; others with 1."""

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except click.ClickException:
            raise
        except Exception as error:  # noqa: BLE001 - no traceback: it may quote anything, a CPR number too
            for line in inspection.account(error):
                click.echo(line, err=True)
            mistaken = isinstance(
                error, ConfigurationFaults | OSError
            )  # files the administrator named
            raise SystemExit(CONFIGURATION if mistaken else FINDINGS) from None

    return run


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, alone: bool = False) -> None:
    """Print rows, for programs as JSON, for people each on a line; one ``alone`` with a line for each of its facts."""
    if as_json:
        click.echo(json.dumps(rows[0] if alone else rows, indent=2, default=str))
    for row in [] if as_json else rows:
        facts = [f"{name}={value}" for name, value in row.items() if value is not None]
        click.echo(("\n" if alone else "  ").join(facts))
