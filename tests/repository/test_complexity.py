"""No function of the broker has more than 12 independent paths (cyclomatic complexity, counted as radon does)."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

BROKER: Final = Path(__file__).resolve().parents[2] / "broker"
MOST: Final = 12
_BRANCHES: Final = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def count_paths(function: ast.AST) -> int:
    """Return 1 and one more for each branch, boolean operator, comprehension and condition in one.

    A nested function counts to the function around it.
    """
    paths = 1
    for node in ast.walk(function):
        if isinstance(node, ast.BoolOp):
            paths += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            paths += 1 + len(node.ifs)
        elif isinstance(node, _BRANCHES):
            paths += 1
    return paths


def find_functions(tree: ast.AST, name: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield the functions of a module and the methods of its classes, with their names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _FUNCTIONS):
            yield f"{name}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from find_functions(node, f"{name}{node.name}.")


@pytest.mark.long("reads the code of the whole package")
def test_a_function_has_at_most_twelve_paths() -> None:
    """A function above the limit must be divided into named steps."""
    paths = {
        f"{path.relative_to(BROKER)}: {name}": count_paths(function)
        for path in sorted(BROKER.rglob("*.py"))
        for name, function in find_functions(ast.parse(path.read_text()))
    }
    assert {name: count for name, count in paths.items() if count > MOST} == {}
