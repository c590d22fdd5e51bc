"""Makes no tests of what a run leaves out by a mark: to make them and drop them costs as much as to run some."""

import inspect
import re
from collections.abc import Iterable
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, Final

import pytest

from tests.plugins.servers import FIXTURES

MARKED: Final = (ModuleType, type, FunctionType)
NOTHING_BUT_NOT: Final = re.compile(r"not \w+(?: and not \w+)*")


@cache
def left_out(expression: str) -> frozenset[str]:
    """Give the marks that ``make quick`` or ``make test`` leaves out by its ``-m``; of another expression, none."""
    if not NOTHING_BUT_NOT.fullmatch(expression):
        return frozenset()
    return frozenset(re.findall(r"not (\w+)", expression))


def arguments(function: FunctionType) -> Iterable[str]:
    """Give the names of a function's arguments: of a plain one as its code has them, which is asked fast."""
    if hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
        return inspect.signature(function).parameters
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def marks(marked: object) -> frozenset[str]:
    """Give the marks of a module, a class or a function by their names, and the one that its arguments bring.

    Whatever else a module holds has none: a proxy of Flask's may not be asked for anything outside a request.
    """
    if not issubclass(type(marked), MARKED):
        return frozenset()
    found = getattr(marked, "pytestmark", [])
    listed = found if isinstance(found, list) else [found]
    names = {each.name for each in listed}
    if inspect.isfunction(marked) and not FIXTURES.isdisjoint(arguments(marked)):
        names.add("server")
    return frozenset(names)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, obj: object) -> list[Any] | None:
    """Make nothing of what is left out.

    A run that only collects makes all, and drops it with a count; so does one for which tests are named, as pytest
    would say otherwise that there are none of that name.
    """
    config = collector.config
    option = config.option
    if option.collectonly or any("::" in given for given in config.args):
        return None
    leaves = left_out(option.markexpr)
    if leaves.isdisjoint(marks(collector.obj) | marks(obj)):
        return None
    return []
