"""Every row of the profile requirements has a test that bears its number, or a line that says why it is not done."""

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
def borne() -> tuple[tuple[str, frozenset[int]], ...]:
    """Return every test by its name, with the rows that it bears."""
    found = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = text_of(path)
        for node in nodes_of(path) if "mark.profile" in text or "def test_row_" in text else ():
            if isinstance(node, ast.FunctionDef):
                calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
                marked = [each for each in calls if ast.unparse(each.func) == "pytest.mark.profile"]
                found.append((node.name, frozenset(ast.literal_eval(row) for each in marked for row in each.args)))
    return tuple(found)


def shown() -> frozenset[int]:
    """Return the rows that some test bears."""
    return frozenset(row for _, rows in borne() for row in rows)


def not_done() -> set[int]:
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


def test_every_row_is_shown_or_not_done() -> None:
    """One to fifty: none is forgotten, and none that is not there is spoken of."""
    assert set(range(1, 51)) == ROWS
    assert shown() | not_done() <= ROWS
    assert ROWS - shown() - not_done() - set(TABLE["pending"]["rows"]) == set()


def test_a_test_named_by_a_row_bears_it() -> None:
    """What is called test_row_26_... is marked with 26, so that the table of rows finds all of it."""
    named = [(name, rows, re.match(r"test_row_(\d+)_", name)) for name, rows in borne()]
    assert [name for name, rows, number in named if number and int(number[1]) not in rows] == []
