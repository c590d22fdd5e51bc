"""Records the requests of a connector and checks its errors for personal values."""

import traceback
from collections.abc import Iterator
from typing import Any, cast

from broker.core.errors import LibraryError
from broker.core.ports import LibrarySystem
from tests.conformance.library_suite.values import PERSONAL


class Observations(list[tuple[str, str, float]]):
    """The reported requests of the connector: call, outcome, seconds."""

    def __call__(self, call: str, outcome: str, seconds: float) -> None:
        """Record a request."""
        self.append((call, outcome, seconds))


def check_errors(library: LibrarySystem) -> LibrarySystem:
    """Wrap a library system so that an error with personal values fails the test."""
    return cast("LibrarySystem", _ErrorChecker(library))


def find_quoted_values(error: BaseException) -> list[str]:
    """Return the personal values in an error or in its causes, including hidden causes."""
    told = traceback.format_exception(error)
    for each in _chain(error):
        told += [*traceback.format_exception_only(each), repr(each)]
    return [value for value in PERSONAL if value in "".join(told)]


def _check_no_personal_values(error: LibraryError) -> None:
    assert find_quoted_values(error) == [], "an error quotes a person"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes. ``from None`` hides a cause from the traceback but not from error reporters."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and each not in seen:
            seen.append(each)
            left += [each.__cause__, each.__context__]
            yield each


class _ErrorChecker:
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
                _check_no_personal_values(error)
                raise

        return call
