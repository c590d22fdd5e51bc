"""What a line of code carries: syntax nodes, conditional expressions, cyclomatic complexity, lengths."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from radon.complexity import cc_visit
from radon.visitors import Class, Function

ROOT: Final = Path(__file__).resolve().parents[2]


def python_files(folder: Path) -> list[Path]:
    """Return the Python files below a folder, sorted."""
    return sorted(folder.rglob("*.py"))


@cache
def text_of(path: Path) -> str:
    """Return the text of a file of the repository, read once for all tests of a worker."""
    return path.read_text(encoding="utf-8", errors="replace")


@cache
def parsed(path: Path) -> ast.Module:
    """Return the tree of a file, parsed once for all tests of a worker; nobody changes it."""
    return ast.parse(text_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of a file, as ``ast.walk`` finds them."""
    return tuple(ast.walk(parsed(path)))


def complexities(text: str) -> Iterator[tuple[str, int]]:
    """Yield every function with its cyclomatic complexity; radon counts boolean operators, as ruff does not."""
    for block in cc_visit(text):
        yield from _blocks(block)


def _blocks(block: Class | Function) -> Iterator[tuple[str, int]]:
    if isinstance(block, Class):
        for inner in [*block.methods, *block.inner_classes]:
            yield from _blocks(inner)
        return
    yield block.fullname, block.complexity
    for closure in block.closures:
        yield from _blocks(closure)
