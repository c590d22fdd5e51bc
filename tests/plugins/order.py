"""Runs what starts a server first: at the end, no worker is left alone with a long test while the others have none."""

import os
from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


def shares(tests: Sequence[T], workers: int) -> Iterator[Sequence[T]]:
    """Give what each worker begins with, as ``--dist worksteal`` hands it out: as many in a row, the last some more."""
    begun = 0
    for left in range(workers, 0, -1):
        number = (len(tests) - begun) // left
        yield tests[begun : begun + number]
        begun += number


def ordered(tests: Sequence[tuple[Hashable, T]], first: frozenset[Hashable], workers: int) -> list[T]:
    """Give tests, each with its module, in the order they came but for the modules ``first`` in each worker's share."""
    found: list[T] = []
    for share in shares(tests, workers):
        found += [test for _, test in sorted(share, key=lambda each: each[0] not in first)]
    return found


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the random order otherwise; a module stays in one piece, for the sake of its fixtures.

    A worker that has nothing left takes tests from the end of another's: there the short ones stand.
    """
    starting = frozenset(item.path for item in items if item.get_closest_marker("server"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = ordered([(item.path, item) for item in items], starting, workers)
