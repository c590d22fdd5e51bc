"""Compares the printed table with the tests: each cell that applies has a test, and no other cell has one."""

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.parties import table

pytestmark = pytest.mark.slow  # ``make test`` runs only tests/walks/test_connect.py of the tests with real products

HERE = Path(__file__).parent


def list_filled_cells(path: Path) -> Iterator[tuple[str, str]]:
    """Return the cells that the tests of a file fill, from their marks."""
    for name, test in runpy.run_path(str(path)).items():
        marks = {each.name: each for each in getattr(test, "pytestmark", ())} if name.startswith("test_") else {}
        for peer in marks["parametrize"].args[1] if "interop" in marks else ():
            yield peer, marks["interop"].args[0]


def test_every_cell_has_a_test() -> None:
    """Each feature that applies to a product has a test, so that the table claims nothing that is not tested."""
    cells = {cell for path in HERE.glob("test_*.py") for cell in list_filled_cells(path)}
    every = {(peer, feature) for peer in table.PEERS for feature in table.FEATURES}
    assert cells == every - table.NOT_APPLICABLE.keys()


def test_every_footnote_names_a_cell_of_the_table() -> None:
    """Each footnote names a product and a feature of the table. A wrong name would hide a missing test."""
    assert {peer for peer, _ in table.NOT_APPLICABLE} <= table.PEERS.keys()
    assert {feature for _, feature in table.NOT_APPLICABLE} <= table.FEATURES.keys()


def test_the_docs_show_the_table() -> None:
    """docs/interop.md contains the table as ``make interop`` prints it when all tests pass."""
    every = {(peer, feature): "ok" for peer in table.PEERS for feature in table.FEATURES}
    assert "\n".join(table.lines(every)) in (HERE.parent.parent / "docs" / "interop.md").read_text(encoding="utf-8")
