"""A pytest plugin that prints the interoperability table and fails if a cell that applies has no test."""

from collections.abc import Iterator

import pytest

from tests.interop.parties import table

_CELL = "interop"


class Matrix:
    """The result of each cell: "ok" if every test of the cell passed."""

    def __init__(self) -> None:
        """Start without any cell."""
        self.cells: dict[tuple[str, str], str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Record which test fills which cell."""
        for item in items:
            mark = item.get_closest_marker(_CELL)
            spec = getattr(item, "callspec", None)
            if mark and spec:
                cell = (spec.params["peer"], mark.args[0])
                item.user_properties.append((_CELL, cell))
                self.cells.setdefault(cell, "not run")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the result of one phase of a test."""
        for name, cell in report.user_properties:
            if name != _CELL or not isinstance(cell, tuple):
                continue
            if report.failed:
                self.cells[cell] = "FAILED"
            elif report.when == "call" and self.cells[cell] != "FAILED":
                self.cells[cell] = "ok"

    def missing(self) -> list[tuple[str, str]]:
        """Return the cells that apply and have no test."""
        every = {(peer, feature) for peer in table.PEERS for feature in table.FEATURES}
        return sorted(every - self.cells.keys() - table.NOT_APPLICABLE.keys())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("interop")
        for line in table.lines(self.cells):
            terminalreporter.write_line(line)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Fail the run if a cell is missing."""
        if self.missing() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin."""
    config.pluginmanager.register(Matrix(), "interop-matrix")
