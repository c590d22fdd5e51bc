"""What a line of code carries: syntax nodes, conditional expressions, cyclomatic complexity, lengths."""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from radon.complexity import cc_visit
from radon.visitors import Class, Function

ROOT: Final = Path(__file__).resolve().parents[2]
_SKIPPED: Final = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Load:
    """Lines of code (without docstrings, comments and blank lines), syntax nodes and conditional expressions."""

    lines: int = 0
    nodes: int = 0
    conditional: int = 0

    def __add__(self, other: "Load") -> "Load":
        """Add up two files."""
        return Load(self.lines + other.lines, self.nodes + other.nodes, self.conditional + other.conditional)

    @property
    def nodes_a_line(self) -> float:
        """Return the syntax nodes that a line of code carries."""
        return self.nodes / max(self.lines, 1)

    @property
    def conditional_a_thousand(self) -> float:
        """Return the conditional expressions in a thousand lines of code."""
        return 1000 * self.conditional / max(self.lines, 1)


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


def load_of(text: str) -> Load:
    """Measure one file's text; Load, Store and Del contexts are no nodes."""
    tree = ast.parse(text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {token.start[0] for token in tokens if token.type not in _SKIPPED} - set(_docstring_lines(tree))
    nodes = [node for node in ast.walk(tree) if not isinstance(node, ast.expr_context)]
    return Load(len(lines), len(nodes), sum(isinstance(node, ast.IfExp) for node in nodes))


def total(paths: Iterable[Path]) -> Load:
    """Measure several files together."""
    return sum((load_of(path.read_text()) for path in paths), Load())


def _docstring_lines(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            yield from range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1)


def nested_conditionals(text: str) -> list[int]:
    """Return the lines with a conditional expression inside another."""
    return [
        inner.lineno
        for outer in ast.walk(ast.parse(text))
        if isinstance(outer, ast.IfExp)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.IfExp) and inner is not outer
    ]


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
