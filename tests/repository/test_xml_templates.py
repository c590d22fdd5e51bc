"""XML is written by a serialiser: no string of the code is a piece of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# An element with a prefix, a declaration of a namespace, or an XML declaration, which HTML has none of. A route of
# Flask has <path:name>, and the lookbehind of an expression that reads has (?<=<name.
_MARKUP = re.compile(r"(?<!=)</?(?!path:)[A-Za-z][\w.-]*:[A-Za-z]|\sxmlns[:=]|<\?xml ")


def find_docstrings(tree: ast.AST) -> set[int]:
    """Give the ids of the nodes that are docstrings."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, kinds) and node.body and isinstance(node.body[0], ast.Expr)
    }


def find_markup(source: str) -> Iterator[str]:
    """Yield the strings and parts of f-strings that hold XML."""
    tree = ast.parse(source)
    left_out = find_docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in left_out:
            value = node.value
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            if isinstance(value, str) and _MARKUP.search(value):
                yield value


@pytest.mark.long("reads the code of the whole package")
def test_no_string_of_the_code_is_xml() -> None:
    """Neither a template nor a piece that is put together: values would need an escape at each place."""
    found = {}
    for path in sorted((ROOT / "broker").rglob("*.py")):
        if pieces := list(find_markup(path.read_text())):
            found[path.relative_to(ROOT).as_posix()] = pieces
    assert not found
