"""Selects the library systems for the suite, and prints a table of their capabilities and results."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import pytest

from broker.core.borrowers.library_setup import LibraryCapability
from tests.conformance.library_suite.stage import Kind

OURS: Final = (
    "tests.conformance.library_suite.koha_kinds:KINDS",
    "tests.conformance.library_suite.alma_kinds:KINDS",
    "tests.conformance.third_party.shelf_kinds:KINDS",
)
MARKER: Final = "library"
_OPTION: Final = "--library-kinds"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for third-party library systems."""
    what = "module:NAME of a mapping from names to Kind (docs/library-systems.md), in place of our own; repeatable"
    parser.addoption(_OPTION, action="append", default=[], metavar="MODULE:NAME", help=what)


def kinds(config: pytest.Config) -> Mapping[str, Kind]:
    """Return the kinds by their names."""
    found: dict[str, Kind] = {}
    for place in config.getoption(_OPTION, default=None) or OURS:
        module, _, name = place.partition(":")
        found.update(getattr(import_module(module), name))
    return found


def chosen(every: Mapping[str, Kind], definition: pytest.Function) -> list[str]:
    """Return the names of the kinds that a test's markers select."""
    wanted: dict[str, Any] = {}
    for marker in definition.iter_markers(MARKER):
        wanted = {**marker.kwargs, **wanted}
    names = list(every)
    if "needs" in wanted:
        names = [name for name in names if wanted["needs"] in every[name].capabilities]
    if "lacks" in wanted:
        names = [name for name in names if wanted["lacks"] not in every[name].capabilities]
    if wanted.get("over_http"):
        names = [name for name in names if every[name].over_http]
    if wanted.get("once"):
        first = {every[name].system: name for name in reversed(names)}
        names = [name for name in names if name in first.values()]
    return names


class Table:
    """The result of each area of each kind: "ok" if all its tests passed."""

    def __init__(self, every: Mapping[str, Kind]) -> None:
        """Start with an empty table."""
        self.kinds = every
        self.cells: dict[tuple[str, str], str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Assign the tests to the cells of the table."""
        for item in items:
            areas = [marker.args[0] for marker in item.iter_markers(MARKER) if marker.args]
            spec = getattr(item, "callspec", None)
            name = (spec.params.get("stage") or spec.params.get("kind")) if spec else None
            if areas and name:
                cell = (areas[0], name)
                item.user_properties.append((MARKER, cell))
                self.cells.setdefault(cell, "not run")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the result of a test phase."""
        for name, cell in report.user_properties:
            if name != MARKER or not isinstance(cell, tuple):
                continue
            if report.failed:
                self.cells[cell] = "FAILED"
            elif report.when == "call" and self.cells[cell] != "FAILED":
                self.cells[cell] = "ok"

    def lines(self) -> list[str]:
        """Return the lines of the table: capabilities, then results."""
        areas = list(dict.fromkeys(area for area, _ in self.cells))
        width = max(len(row) for row in (*LibraryCapability, *areas))
        names = list(self.kinds)
        lines = [f"{place + 1}  {name}" for place, name in enumerate(names)]
        lines.append(_row("", [str(place + 1) for place in range(len(names))], width))
        for capability in LibraryCapability:
            can = ["can" if capability in kind.capabilities else "-" for kind in self.kinds.values()]
            lines.append(_row(capability, can, width))
        lines += [_row(area, [self.cells.get((area, name), "-") for name in names], width) for area in areas]
        return lines

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("library systems")
        for line in self.lines():
            terminalreporter.write_line(line)


def _row(head: str, cells: Sequence[str], width: int) -> str:
    return f"{head:<{width}}  " + "  ".join(f"{cell:<7}" for cell in cells).rstrip()


def pytest_configure(config: pytest.Config) -> None:
    """Register the result table."""
    config.pluginmanager.register(Table(kinds(config)), "library-table")
