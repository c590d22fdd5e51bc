"""Prints the matrix: of each call with each fault how many of its cells have passed."""

from collections import Counter
from typing import Final

import pytest

from tests.plugins.fault_matrix.cells import CALLS, Cell
from tests.plugins.fault_matrix.life import FAULTS

_PASSED: Final = "passed"


class Table:
    """What became of each cell."""

    def __init__(self) -> None:
        """Know of none yet."""
        self.outcomes: dict[tuple[str, ...], Counter[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Learn which test is which cell."""
        for item in items:
            spec = getattr(item, "callspec", None)
            cell = spec.params.get("cell") if spec else None
            if isinstance(cell, Cell):
                item.user_properties.append(("cell", tuple(cell[:3])))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one part of one test."""
        for name, cell in report.user_properties:
            if name == "cell" and (report.failed or report.when == "call"):
                key = tuple(map(str, cell if isinstance(cell, tuple | list) else ()))
                self.outcomes.setdefault(key, Counter())[report.outcome] += 1

    def lines(self) -> list[str]:
        """Give the table."""
        width = max(len(f"{system}: {call}") for system, calls in CALLS.items() for call in calls)
        lines = [f"{'':<{width}}  " + "  ".join(f"{fault:<14}" for fault in FAULTS)]
        for system, calls in CALLS.items():
            for call in calls:
                row = "  ".join(f"{self._shown(system, call, fault):<14}" for fault in FAULTS)
                lines.append(f"{f'{system}: {call}':<{width}}  {row}")
        return lines

    def _shown(self, *key: str) -> str:
        counted = self.outcomes.get(key)
        if not counted:
            return "-"
        total = sum(counted.values())
        return f"{counted[_PASSED]} of {total}" + ("" if counted[_PASSED] == total else " FAILED")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("faults of the calls of an enrolment: cells passed (store, killed or alive)")
        for line in self.lines():
            terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Watch this run."""
    config.pluginmanager.register(Table(), "fault-table")
