"""How every command prints and exits: one fault a line, rows for people, JSON for programs."""

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from broker.core.errors import BrokerError, ConfigurationFaults, Fault, NothingFound
from broker.core.ports import NewerRelease, RecordUnreadable

if TYPE_CHECKING:
    from rich.table import Table


_WIDEST: Final = 10_000  # columns: wider than any of our rows
FINDINGS: Final = 1
CHANGES: Final = 3
CONFIGURATION: Final = 78
INTERRUPTED: Final = 130  # the exit code of shells after SIGINT
_FIXES: Final = {
    "store_unavailable": (
        "see [store] url: its folder must be there and be yours to write, its disk have space, or "
        "its Redis answer and accept the password"
    ),
    "library_unavailable": "see [library] url, and whether the library system is up",
}
_UNREADABLE: Final = (
    "it is damaged, or was written with another key: restore the key, or the store from a backup"
)
_NEWER: Final = "install that release, or restore the backup from before the upgrade"

_EMPTY: Final = (None, (), "")

P = ParamSpec("P")
R = TypeVar("R")
Row = Mapping[str, Any]

existing_folder = click.Path(path_type=Path, exists=True, file_okay=False)
DAY = click.DateTime(("%Y-%m-%d",))
folder = click.argument("folder", type=existing_folder, required=False)
as_json = click.option("--json", "as_json", is_flag=True, help="Print for programs.")


def printing_faults(command: Callable[P, R]) -> Callable[P, R]:
    """Print faults on standard error, one a line, and exit with 78 (configuration) or 1.

    With ``--json`` print them on standard output too.
    """

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except (click.ClickException, BrokenPipeError):
            raise  # click handles them
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001 - a traceback could quote a CPR number
            faults = describe_error(error)
            for fault in faults:
                click.echo(str(fault), err=True)
            if options.get("as_json"):
                click.echo(json.dumps({"faults": [asdict(fault) for fault in faults]}, indent=2))
            # An OSError concerns a file that the administrator named.
            if isinstance(error, ConfigurationFaults | OSError):
                raise SystemExit(CONFIGURATION) from None
            raise SystemExit(FINDINGS) from None

    return run


def describe_error(error: Exception) -> list[Fault]:
    """Return what went wrong, where to look and how to fix it.

    Of an unexpected error only the type is named: its text could quote a CPR number.
    """
    if isinstance(error, ConfigurationFaults):
        return [_add_fix(fault) for fault in error.faults]
    if isinstance(error, NothingFound):
        return [Fault(error.about, str(error))]
    if isinstance(error, RecordUnreadable):
        return [Fault("a record of the store cannot be read", str(error), _UNREADABLE)]
    if isinstance(error, NewerRelease):
        return [Fault("store", str(error), _NEWER)]
    if isinstance(error, BrokerError):
        return [_add_fix(Fault(error.reason, str(error)))]
    if isinstance(error, OSError) and error.filename:
        return [Fault(str(error.filename), f"cannot be used: {error.strerror}")]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = frame.filename.rpartition("/")[2]
    what = f"{type(error).__name__} at {file}:{frame.lineno}"
    return [Fault("unexpected", what, "please report this line")]


def _add_fix(fault: Fault) -> Fault:
    return fault if fault.fix else replace(fault, fix=_FIXES.get(fault.where, ""))


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal what the command waits for."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only needed on a terminal

    with Console(stderr=True).status(what):
        yield


def show_findings(findings: Sequence[str], *, as_json: bool) -> None:
    """Print findings, one a line, and exit 1; print "all well" if there is none."""
    if as_json:
        click.echo(json.dumps({"findings": findings}, indent=2))
    else:
        click.echo("\n".join(findings) or "all well")
    if findings:
        raise SystemExit(FINDINGS)


def show_done(sentence: str, *, as_json: bool, **facts: object) -> None:
    """Print what a command did: a sentence, or the facts as JSON."""
    click.echo(json.dumps(facts) if as_json else sentence)


def show(rows: Sequence[Row], *, as_json: bool, is_single: bool = False) -> None:
    """Print rows as JSON, as tables on a terminal, or one a line into a pipe.

    ``is_single``: print the only row with one fact a line.
    """
    if as_json:
        click.echo(json.dumps(rows[0] if is_single else rows, indent=2, default=str))
    elif sys.stdout.isatty():
        _show_tables(rows, is_single=is_single)
    else:
        separator = "\n" if is_single else "  "
        for row in rows:
            facts = [f"{name}={_join(value)}" for name, value in row.items() if value not in _EMPTY]
            click.echo(separator.join(facts))


def _show_tables(rows: Sequence[Row], *, is_single: bool) -> None:
    """Print one table for each kind of row. Print row by row if the table is too wide."""
    from rich.console import Console  # noqa: PLC0415 - only needed on a terminal

    console = Console(highlight=False)
    unbounded = console.options.update_width(_WIDEST)
    kinds = dict.fromkeys(row.get("kind") for row in rows)
    for kind in kinds:
        of_kind = [row for row in rows if row.get("kind") == kind]
        table = _table(of_kind)
        width = console.measure(table, options=unbounded).maximum
        if not is_single and width <= console.width:
            console.print(table)
            continue
        for row in of_kind:
            console.print(_record(row))


def _table(rows: Sequence[Row]) -> "Table":
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only needed on a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(row)
    table = Table(*names, box=SIMPLE_HEAD)
    for row in rows:
        # Text prints brackets as they are; a str would be read as markup.
        table.add_row(*(Text(_format(row.get(name))) for name in names))
    return table


def _record(row: Row) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - only needed on a terminal
    from rich.text import Text  # noqa: PLC0415

    record = Table.grid(padding=(0, 2, 0, 0))
    record.add_column(style="bold")
    record.add_column(overflow="fold")
    for name, value in row.items():
        if value not in _EMPTY:
            record.add_row(name, Text(_format(value)))
    record.add_row()
    return record


def _format(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(_join(value))


def _join(value: object) -> object:
    """Return a tuple as one text, any other value as it is."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


_FEW: Final = 20  # so many institutions are analysed within seconds


def show_progress(done: int, to_do: int) -> None:
    """Print each tenth of the analysed institutions."""
    if to_do > _FEW and 10 * done // to_do != 10 * (done - 1) // to_do:
        click.echo(f"analysed {done} of {to_do} institutions", err=True)
