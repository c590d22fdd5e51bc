"""Recorded requests of a connector, and errors of its calls, during the suite."""

import traceback
from collections.abc import Iterator
from typing import Any, cast

from broker.core.errors import LibraryError
from broker.core.ports import LibrarySystem
from tests.conformance.library_suite.values import PERSONAL


class Observations(list[tuple[str, str, float]]):
    """The requests that the connector has told of: call, outcome, seconds."""

    def __call__(self, call: str, outcome: str, seconds: float) -> None:
        """Hear of one."""
        self.append((call, outcome, seconds))


def overheard(library: LibrarySystem) -> LibrarySystem:
    """Return the system; each of its errors is searched for personal values."""
    return cast("LibrarySystem", _Overheard(library))


def find_quoted_values(error: BaseException) -> list[str]:
    """Return the personal values that stand in an error or in what it came from, shown by Python or hidden."""
    told = traceback.format_exception(error)
    for each in _chain(error):
        told += [*traceback.format_exception_only(each), repr(each)]
    return [value for value in PERSONAL if value in "".join(told)]


def _demand_nobody(error: LibraryError) -> None:
    assert find_quoted_values(error) == [], "an error quotes a person"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes: ``from None`` hides one from a traceback only, not from what reports errors."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and each not in seen:
            seen.append(each)
            left += [each.__cause__, each.__context__]
            yield each


class _Overheard:
    def __init__(self, library: LibrarySystem) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name)
        if not callable(found):
            return found

        def call(*given: object, **named: object) -> object:
            try:
                return found(*given, **named)
            except LibraryError as error:
                _demand_nobody(error)
                raise

        return call
