"""Runs what takes long first, and what shares a world in one worker: none is left alone with a long test at the end."""

import os
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

import pytest

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
# What is started once in a process and used by several modules, by the fixtures that lead to it. Each group of modules
# is given to one worker: spread over all, they start their world in each of them.
WORLDS: Final[Mapping[str, frozenset[str]]] = {
    "the products of interop": frozenset({"interop"}),
    "a demo and the browsers at it": frozenset({"demo", "browser"}),
    "a browser of pages alone": frozenset({"chromium"}),
}


def world_of(fixtures: Collection[str]) -> str | None:
    """Give the world in which a module's tests take place; None where they start nothing that others use too."""
    for world, leading in WORLDS.items():
        if not leading.isdisjoint(fixtures):
            return world
    return None


def shares(tests: Sequence[T], workers: int) -> Iterator[Sequence[T]]:
    """Give what each worker begins with, as ``--dist worksteal`` hands it out: as many in a row, the last some more."""
    begun = 0
    for left in range(workers, 0, -1):
        number = (len(tests) - begun) // left
        yield tests[begun : begun + number]
        begun += number


def dealt(seconds: Mapping[K, float], workers: int) -> list[list[K]]:
    """Give each worker some of the modules, the longest first, so that they take all about as long."""
    hands: list[list[K]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for module in sorted(seconds, key=lambda each: -seconds[each]):
        least = loads.index(min(loads))
        hands[least].append(module)
        loads[least] += seconds[module]
    return hands


def ordered(tests: Sequence[tuple[K, T]], first: frozenset[K], workers: int, seconds: Mapping[K, float]) -> list[T]:
    """Give tests, each with its module, so that every worker begins with its part of the long modules.

    Then come those ``first``, then the others, in the order they came. ``seconds`` has the long modules.
    """
    long: dict[K, list[T]] = {module: [] for module in seconds}
    others: list[tuple[K, T]] = []
    for module, test in tests:
        if module in long:
            long[module].append(test)
        else:
            others.append((module, test))
    found: list[T] = []
    rest = iter(others)
    for share, hand in zip(shares(tests, workers), dealt(seconds, workers), strict=True):
        begun = [test for module in hand for test in long[module]]
        filled = islice(rest, max(len(share) - len(begun), 0))
        found += begun
        found += [test for _, test in sorted(filled, key=lambda each: each[0] not in first)]
    return found + [test for _, test in rest]


def _seconds(item: pytest.Item) -> float:
    """Give how long a test takes, where its mark says so."""
    mark = item.get_closest_marker("slow")
    if mark is None:
        return 0.0
    return float(mark.kwargs.get("seconds", 0.0))


def _lasting(item: pytest.Item) -> set[str]:
    """Give the fixtures of a test that outlast it: what is made for it, or stands in its table, starts no world."""
    asked = getattr(item, "_fixtureinfo", None)
    if asked is None:
        return set()
    return {name for name, made in asked.name2fixturedefs.items() if made[-1].scope != "function"}


def _asked_for(items: Sequence[pytest.Item]) -> Mapping["Path", set[str]]:
    """Give the lasting fixtures that the tests of each module ask for."""
    found: dict[Path, set[str]] = {}
    for item in items:
        found.setdefault(item.path, set()).update(_lasting(item))
    return found


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the random order otherwise; a module stays in one piece, for the sake of its fixtures.

    A worker that has nothing left takes tests from the end of another's: there the short ones stand. Of the modules of
    one world none is among the long ones: those are as long as they are by what they do in it.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    seconds: dict[Path | str, float] = {}
    for item in items:
        taken = _seconds(item)
        if taken:
            seconds[item.path] = seconds.get(item.path, 0.0) + taken
    pieces: dict[Path, Path | str] = {}
    for path, fixtures in _asked_for(items).items():
        world = None if path in seconds else world_of(fixtures)
        pieces[path] = world or path
    for item in items:
        piece = pieces[item.path]
        if isinstance(piece, str):
            seconds[piece] = seconds.get(piece, 0.0) + 1.0
    starting = frozenset(pieces[item.path] for item in items if item.get_closest_marker("server"))
    items[:] = ordered([(pieces[item.path], item) for item in items], starting, workers, seconds)
