"""Every row of the profile requirements has a test that bears its number, or a line that says why it is not done."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = tomllib.loads((Path(__file__).parent / "profile_rows.toml").read_text())
ROWS = frozenset(map(int, TABLE["rows"]))


def marks(path: Path) -> Iterator[tuple[int, str]]:
    """Give each row that a test in a file bears, and the test."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        for each in node.decorator_list:
            if isinstance(each, ast.Call) and ast.unparse(each.func) == "pytest.mark.profile":
                yield from ((ast.literal_eval(row), node.name) for row in each.args)


def shown() -> dict[int, set[str]]:
    """Give the tests of each row."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for row, name in marks(path):
            found[row].add(name)
    return found


def not_done() -> set[int]:
    """Give the rows that the documentation says are not done, with a reason."""
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
    assert set(shown()) | not_done() <= ROWS
    assert ROWS - set(shown()) - not_done() - set(TABLE["pending"]["rows"]) == set()


def test_a_test_named_by_a_row_bears_it() -> None:
    """What is called test_row_26_... is marked with 26, so that ``pytest -m profile`` finds all of it."""
    wrong = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        borne = {(name, row) for row, name in marks(path)}
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.FunctionDef) and re.match(r"test_row_(\d+)_", node.name)
            if named and (named.string, int(named[1])) not in borne:
                wrong.append(named.string)
    assert wrong == []
