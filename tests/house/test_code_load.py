"""What a line, a function and a file of the broker may carry, so that it can be read at the pace of reading."""

import ast
from pathlib import Path

import pytest

from tests.plugins.code_load import (
    ROOT,
    complexities,
    load_of,
    nested_conditionals,
    parsed,
    python_files,
    total,
)

BROKER = python_files(ROOT / "broker")
pytestmark = pytest.mark.slow  # a clone is trusted without it; make check holds it


def shown(path: Path) -> str:
    """Name a file as people do."""
    return str(path.relative_to(ROOT))


def test_files_are_at_most_400_lines() -> None:
    """A file that has grown past 400 lines asks to be split."""
    sizes = {shown(path): len(path.read_text().splitlines()) for path in BROKER}
    assert {path: size for path, size in sizes.items() if size > 400} == {}


def test_functions_are_at_most_40_lines() -> None:
    """A function that has grown past 40 lines asks to be taken apart into named steps."""
    sizes = {
        f"{shown(path)}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in BROKER
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: size for name, size in sizes.items() if size > 40} == {}


def test_functions_have_at_most_twelve_branches() -> None:
    """Cyclomatic complexity above 12 (radon, boolean operators counted) asks for a table or named steps."""
    heavy = {
        f"{shown(path)}:{name}": complexity
        for path in BROKER
        for name, complexity in complexities(path.read_text())
        if complexity > 12
    }
    assert heavy == {}


def test_no_conditional_expression_stands_in_another() -> None:
    """A choice inside a choice is a statement, a table or a function of its own."""
    found = {shown(path): lines for path in BROKER if (lines := nested_conditionals(path.read_text()))}
    assert found == {}


def test_a_line_carries_one_idea() -> None:
    """At most 5.5 syntax nodes a line of code, and 18 conditional expressions in a thousand lines."""
    load = total(BROKER)
    assert load.nodes_a_line <= 5.5
    assert load.conditional_a_thousand <= 18


@pytest.mark.parametrize(
    ("text", "lines", "nodes", "conditional"),
    [
        ('"""Says nothing."""\n', 0, 3, 0),
        ("a = 1  # a comment\n\n", 1, 4, 0),
        ("b = (\n    1 if a\n    else 2\n)\n", 4, 7, 1),
    ],
)
def test_what_counts_as_load(text: str, lines: int, nodes: int, conditional: int) -> None:
    """Docstrings, comments and blank lines are no lines of code; a name's context is no node."""
    load = load_of(text)
    assert (load.lines, load.nodes, load.conditional) == (lines, nodes, conditional)


def test_the_checks_of_load_bite() -> None:
    """Nested conditional expressions and boolean operators are seen, in methods and inner functions too."""
    text = """
class Reader:
    def read(self, a, b):
        def inner(c):
            return a if b else (b if c and a or b else c)
        return inner
"""
    assert nested_conditionals(text) == [5]
    assert max(complexity for _, complexity in complexities(text)) == 5
