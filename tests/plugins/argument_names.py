"""Reads the names of a fixture's arguments from its code: pytest asks six times for each test, mostly of one lambda.

A parameter of a test is a fixture that asks for ``request``, and each ``request`` is made by a function of its own, of
no arguments. To take that apart as ``inspect`` does costs more than all the rest of such a fixture.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

from _pytest import compat, fixtures

Names = Callable[..., tuple[str, ...]]
NAMES: Final[Names] = compat.getfuncargnames


def names(function: Callable[..., Any], *, name: str = "", cls: type | None = None) -> tuple[str, ...]:
    """Give the names of a function's arguments as pytest does; of one that stands for another, by the other."""
    if isinstance(function, FunctionType) and not vars(function):
        code = function.__code__
        if not code.co_argcount and not code.co_kwonlyargcount:
            return ()
    return NAMES(function, name=name, cls=cls)


def pytest_configure() -> None:
    """Let every fixture of this process be asked so."""
    setattr(fixtures, "getfuncargnames", names)  # noqa: B010 - it does not say that it lends it
