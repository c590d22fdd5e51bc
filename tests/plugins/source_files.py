"""Reads the repository's files and their syntax trees, each once for all tests of a process."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def python_files(folder: Path) -> list[Path]:
    """Return the Python files below a folder, sorted."""
    return sorted(folder.rglob("*.py"))


@cache
def text_of(path: Path) -> str:
    """Return the text of a file of the repository."""
    return path.read_text(encoding="utf-8", errors="replace")


@cache
def parse_file(path: Path) -> ast.Module:
    """Return the tree of a file. Do not change it."""
    return ast.parse(text_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of a file, as ``ast.walk`` finds them."""
    return tuple(ast.walk(parse_file(path)))
