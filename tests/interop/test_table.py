"""Compares the table of docs/interop.md with the table that the tests print."""

from pathlib import Path

from tests.interop.parties import table

HERE = Path(__file__).parent


def test_the_docs_show_the_table() -> None:
    """docs/interop.md contains the table as ``make interop`` prints it when all tests pass."""
    every = {(peer, feature): "ok" for peer in table.PEERS for feature in table.FEATURES}
    assert "\n".join(table.lines(every)) in (HERE.parent.parent / "docs" / "interop.md").read_text(encoding="utf-8")
