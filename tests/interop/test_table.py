"""The printed table is the one that the tests run: no cell without a test, none that does not apply with one."""

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.parties import table

pytestmark = pytest.mark.slow  # of the products of the field, make test runs those of tests/walks/test_connect.py

HERE = Path(__file__).parent


def filled(path: Path) -> Iterator[tuple[str, str]]:
    """Give the cells that the tests of a file fill, from their marks."""
    for name, test in runpy.run_path(str(path)).items():
        marks = {each.name: each for each in getattr(test, "pytestmark", ())} if name.startswith("test_") else {}
        for peer in marks["parametrize"].args[1] if "interop" in marks else ():
            yield peer, marks["interop"].args[0]


def test_every_cell_has_a_test() -> None:
    """Each product and feature that go together have a test of theirs, so that the table cannot claim more."""
    cells = {cell for path in HERE.glob("test_*.py") for cell in filled(path)}
    every = {(peer, feature) for peer in table.PEERS for feature in table.FEATURES}
    assert cells == every - table.NOT_APPLICABLE.keys()


def test_what_does_not_apply_is_in_the_table() -> None:
    """A footnote about a product or feature that is none would hide a test that is missing."""
    assert {peer for peer, _ in table.NOT_APPLICABLE} <= table.PEERS.keys()
    assert {feature for _, feature in table.NOT_APPLICABLE} <= table.FEATURES.keys()


def test_the_docs_show_the_table() -> None:
    """docs/interop.md holds the table as it is printed when all is well."""
    every = {(peer, feature): "ok" for peer in table.PEERS for feature in table.FEATURES}
    assert "\n".join(table.lines(every)) in (HERE.parent.parent / "docs" / "interop.md").read_text(encoding="utf-8")
