"""Counts the syntax nodes of packages, so that a test can hold their budgets."""

import ast
from collections import Counter
from pathlib import Path
from typing import Final

from tests.plugins.source_files import ROOT, parse_file, python_files

# Packages whose sub-packages have separate budgets.
_DIVIDED: Final = frozenset({"adapters", "core", "use_cases"})


def count_nodes(tree: ast.AST) -> int:
    """Return the number of syntax nodes, without docstrings."""
    nodes = docstrings = 0
    for node in ast.walk(tree):
        nodes += 1
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstrings += 2 * (ast.get_docstring(node, clean=False) is not None)
    return nodes - docstrings


def name_part(path: Path) -> str:
    """Return the row of the budget that a module, as a path in the repository, belongs to."""
    parts = path.parts
    if parts[0] != "broker":
        return parts[0]
    depth = 3 if len(parts) > 3 and parts[1] in _DIVIDED else 2
    return "/".join(parts[:depth])


def weigh(root: Path = ROOT) -> Counter[str]:
    """Return the syntax nodes by part, and of ``broker`` without the demo."""
    weights: Counter[str] = Counter()
    for top in ("broker", "tests", "bench"):
        for path in python_files(root / top):
            part = name_part(path.relative_to(root))
            nodes = count_nodes(parse_file(path))
            weights[part] += nodes
            if top == "broker" and part != "broker/demo":
                weights["broker without demo"] += nodes
    return weights
