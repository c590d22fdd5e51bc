"""Every row of the profile requirements has a test with its number, or a documented reason why it is not done."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

from tests.plugins.source_files import nodes_of, text_of

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = tomllib.loads((Path(__file__).parent / "profile_rows.toml").read_text())
ROWS = frozenset(map(int, TABLE["rows"]))


@cache
def list_test_rows() -> tuple[tuple[str, frozenset[int]], ...]:
    """Return the name of every test with the rows in its marks."""
    found = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = text_of(path)
        for node in nodes_of(path) if "mark.profile" in text or "def test_row_" in text else ():
            if isinstance(node, ast.FunctionDef):
                calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
                marked = [each for each in calls if ast.unparse(each.func) == "pytest.mark.profile"]
                found.append((node.name, frozenset(ast.literal_eval(row) for each in marked for row in each.args)))
    return tuple(found)


def list_tested_rows() -> frozenset[int]:
    """Return the rows that have a test."""
    return frozenset(row for _, rows in list_test_rows() for row in rows)


def list_rows_not_done() -> set[int]:
    """Return the rows that the documentation says are not done, with a reason."""
    text = (ROOT / "docs" / "saml.md").read_text()
    table = text[text.index("## Not done, and why") :]
    found = set()
    for line in table.splitlines():
        what, _, why = line.strip("| ").partition(" | ")
        if why.strip():
            found |= {
                int(each) for rows in re.findall(r"\(rows? ([\d, and]+)\)", what) for each in re.findall(r"\d+", rows)
            }
    return found


def test_every_row_has_a_test_or_a_reason() -> None:
    """The table, the tests and the document cover rows 1 to 50 and mention no other row."""
    assert set(range(1, 51)) == ROWS
    assert list_tested_rows() | list_rows_not_done() <= ROWS
    assert ROWS - list_tested_rows() - list_rows_not_done() - set(TABLE["pending"]["rows"]) == set()
