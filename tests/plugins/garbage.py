"""Leaves what lives as long as the run out of every collection of garbage: modules, and the collected tests."""

import gc
from collections.abc import Iterator
from typing import Final

import pytest

from tests.plugins.code_load import parsed

MANY: Final = 100  # syntax trees: with that many a collection takes five times as long
ALLOCATIONS: Final = 20_000  # between two collections of the youngest; Python's own 700 is for small heaps


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Collect no garbage while the tests are read: next to nothing of it is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Set aside what is there now, unsearched; what a test leaves behind is collected as ever."""
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, *gc.get_threshold()[1:])
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _trees_set_aside() -> Iterator[None]:
    """Set aside the trees of the code that a module has read: the end of each later one looks through all there is."""
    before = parsed.cache_info().currsize
    yield
    if parsed.cache_info().currsize - before >= MANY:
        gc.collect()
        gc.freeze()
