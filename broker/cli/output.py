"""How every command prints and ends: faults one a line, rows for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from broker.app import fault_accounts
from broker.core.errors import ConfigurationFaults

if TYPE_CHECKING:
    from rich.table import Table


_WIDEST: Final = 10_000  # columns: wider than any row of ours
FINDINGS: Final = 1
CHANGES: Final = 3
CONFIGURATION: Final = 78
INTERRUPTED: Final = 130  # as a shell tells of SIGINT

P = ParamSpec("P")
R = TypeVar("R")
Row = Mapping[str, Any]

existing_folder = click.Path(path_type=Path, exists=True, file_okay=False)
DAY = click.DateTime(("%Y-%m-%d",))
folder = click.argument("folder", type=existing_folder, required=False)
as_json = click.option("--json", "as_json", is_flag=True, help="Print for programs.")


def printing_faults(command: Callable[P, R]) -> Callable[P, R]:
    """Print every fault, one a line on standard error; exit 78 for the configuration's, else 1.

    With ``--json`` they are printed for programs too, on standard output.
    """

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except (click.ClickException, BrokenPipeError):
            raise  # click ends quietly where nobody reads on
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001 - no traceback: it may quote anything, a CPR number too
            faults = fault_accounts.account(error)
            for fault in faults:
                click.echo(str(fault), err=True)
            if options.get("as_json"):
                click.echo(json.dumps({"faults": [asdict(fault) for fault in faults]}, indent=2))
            # An OSError is about files that the administrator named.
            if isinstance(error, ConfigurationFaults | OSError):
                raise SystemExit(CONFIGURATION) from None
            raise SystemExit(FINDINGS) from None

    return run


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal, on standard error, ``what`` is being waited for."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal is shown it

    with Console(stderr=True).status(what):
        yield


def show_findings(findings: Sequence[str], *, as_json: bool) -> None:
    """Print findings, one a line; "all well" without any; exit 1 with some."""
    if as_json:
        click.echo(json.dumps({"findings": findings}, indent=2))
    else:
        click.echo("\n".join(findings) or "all well")
    if findings:
        raise SystemExit(FINDINGS)


def show_done(sentence: str, *, as_json: bool, **facts: object) -> None:
    """Print what a command did: a sentence, or for programs the facts of it."""
    click.echo(json.dumps(facts) if as_json else sentence)


def show(rows: Sequence[Row], *, as_json: bool, alone: bool = False) -> None:
    """Print rows: as JSON, as tables on a terminal, or each on a line of a pipe.

    The one row that is ``alone`` is printed with a line for each of its facts.
    """
    if as_json:
        click.echo(json.dumps(rows[0] if alone else rows, indent=2, default=str))
    elif sys.stdout.isatty():
        _show_tables(rows, alone=alone)
    else:
        separator = "\n" if alone else "  "
        for row in rows:
            facts = [f"{name}={_joined(value)}" for name, value in row.items() if value is not None]
            click.echo(separator.join(facts))


def _show_tables(rows: Sequence[Row], *, alone: bool) -> None:
    """Print a table for each kind of row; its rows one below the other where it would not fit."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal is shown tables

    console = Console(highlight=False)
    unbounded = console.options.update_width(_WIDEST)
    kinds = dict.fromkeys(row.get("kind") for row in rows)
    for kind in kinds:
        of_kind = [row for row in rows if row.get("kind") == kind]
        table = _table(of_kind)
        width = console.measure(table, options=unbounded).maximum
        if not alone and width <= console.width:
            console.print(table)
            continue
        for row in of_kind:
            console.print(_record(row))


def _table(rows: Sequence[Row]) -> "Table":
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only a terminal is shown tables
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(row)
    table = Table(*names, box=SIMPLE_HEAD)
    for row in rows:
        # Text is printed as it is: what stands in brackets is no markup.
        table.add_row(*(Text(_shown(row.get(name))) for name in names))
    return table


def _record(row: Row) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - only a terminal is shown tables
    from rich.text import Text  # noqa: PLC0415

    record = Table.grid(padding=(0, 2, 0, 0))
    record.add_column(style="bold")
    record.add_column(overflow="fold")
    for name, value in row.items():
        if value is not None:
            record.add_row(name, Text(_shown(value)))
    record.add_row()
    return record


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(_joined(value))


def _joined(value: object) -> object:
    """Return the values of a tuple in one text; any other value as it is."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


_FEW: Final = 20  # sources are done before anybody wonders


def show_progress(sources: int) -> Callable[[int, int], None]:
    """Return what tells each tenth of the sources that is done; nothing where they are few."""
    told = set()

    def tell(done: int, to_do: int) -> None:
        tenth = 10 * done // to_do
        if tenth not in told:
            told.add(tenth)
            click.echo(f"analysed {done} of {to_do} institutions", err=True)

    return tell if sources > _FEW else lambda *_: None
