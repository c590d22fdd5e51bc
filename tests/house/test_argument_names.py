"""What a function asks for is read as pytest reads it, where it is read from the code alone too."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
from _pytest import fixtures

from tests.plugins.argument_names import NAMES, names


def plain() -> None:
    """Ask for nothing."""


def asking(one: int, *, two: int, three: int = 3) -> None:
    """Ask for two, and have one of one's own."""


def named(*, only: int) -> None:
    """Ask for one by its name."""


def open_to_all(*_given: Any, **_more: Any) -> None:
    """Take whatever comes, and ask for nothing."""


@wraps(asking)
def standing_for_another() -> None:
    """Ask for what the other asks for."""


@pytest.mark.parametrize(
    "function",
    [plain, asking, named, open_to_all, standing_for_another, partial(asking, 1), lambda: None, lambda one: one],
)
def test_the_names_are_those_that_pytest_finds(function: Callable[..., Any]) -> None:
    """Also of one that stands for another, which has none of its own."""
    assert names(function, name="it") == NAMES(function, name="it")


def test_fixtures_are_asked_so() -> None:
    """The function is exchanged where pytest makes them."""
    assert vars(fixtures)["getfuncargnames"] is names
