"""Counts the tests by the class of attack that each closes, and prints the sums at the end of a run.

A hostile case carries ``@pytest.mark.attack(17)`` (of several classes: ``attack(3, 17)``), on the test or on one row of
its table (``pytest.param(..., marks=pytest.mark.attack(17))``); the control beside it, which must be let in,
``@pytest.mark.attack(17, control=True)``. Every row of a table is a case of its own.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

import pytest

CLASSES: Final = {
    1: "signature wrapping",
    2: "several signatures",
    3: "duplicate IDs",
    4: "wrong root or type",
    5: "signature exclusion",
    6: "foreign keys",
    7: "algorithm confusion",
    8: "transforms",
    9: "void canonicalisation",
    10: "borrowed signatures",
    11: "cut values",
    12: "DTD and entities",
    13: "bombs",
    14: "malformed messages",
    15: "replay",
    16: "correlation",
    17: "addressee",
    18: "issuer confusion",
    19: "time",
    20: "subject confirmation",
    21: "scope spoofing",
    22: "attribute duplication",
    23: "encryption",
    24: "request signatures",
    25: "ACS hijack",
    26: "request freshness and sender",
    27: "RelayState",
    28: "discovery",
    29: "logout forgery",
    30: "consent",
    31: "framing, caching, cookies, Host",
    32: "output injection",
    33: "metadata",
    34: "python -O",
}


Closed = tuple[int, bool]  # a class, and whether the test is a control


def closed(marks: Iterable[pytest.Mark]) -> list[Closed]:
    """Give what a test closes by its marks."""
    return sorted({(number, bool(mark.kwargs.get("control"))) for mark in marks for number in mark.args})


@dataclass(slots=True)
class Tally:
    """How many tests close each class, and how many controls stand beside them."""

    cases: Counter[int] = field(default_factory=Counter)
    controls: Counter[int] = field(default_factory=Counter)
    hostile: int = 0  # a case of several classes is one message

    def count(self, found: Collection[Closed]) -> None:
        """Count one test by the classes that it closes."""
        for number, control in found:
            assert number in CLASSES, f"there is no class {number}"
            (self.controls if control else self.cases)[number] += 1
        self.hostile += any(not control for _, control in found)

    def lines(self) -> list[str]:
        """Give a line a class, and the sums."""
        rows = [
            f"{number:>4}  {name:<32} {self.cases[number]:>5} cases {self.controls[number]:>4} controls"
            for number, name in CLASSES.items()
        ]
        return [*rows, f"      {'in all':<32} {self.hostile:>5} cases {self.controls.total():>4} controls"]


@dataclass(slots=True)
class Attacks:
    """Everything that was collected, and what of it passed."""

    closed: dict[str, list[Closed]] = field(default_factory=dict)

    def tally(self) -> Tally:
        """Count what was collected."""
        tally = Tally()
        for found in self.closed.values():
            tally.count(found)
        return tally


FOUND: Final = pytest.StashKey[Attacks]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, with nothing counted."""
    config.addinivalue_line("markers", "attack(*classes, control=False): closes these classes of attack")
    config.stash[FOUND] = Attacks()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note which tests close which classes, also of those that ``-m`` leaves out where they are made.

    Whole modules and functions are not (tests/plugins/left_out.py). The report of each test carries it on.
    """
    attacks = config.stash[FOUND]
    for item in items:
        if found := closed(item.iter_markers("attack")):
            attacks.closed[item.nodeid] = found
            item.user_properties.append(("attack", found))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the classes with the cases that passed; where tests were only collected, those."""
    tally = config.stash[FOUND].tally() if config.option.collectonly else Tally()
    for report in terminalreporter.stats.get("passed", []):
        for name, found in report.user_properties:
            if name == "attack":
                tally.count([(number, control) for number, control in found])
    if not tally.cases and not tally.controls:
        return
    terminalreporter.section("attacks refused, by class")
    for line in tally.lines():
        terminalreporter.write_line(line)
