"""Puts each library system on the stage for the laws of its port."""

from collections.abc import Iterator

import pytest

from tests.plugins.library_suite.stage import Stage
from tests.plugins.library_suite.table import chosen, kinds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play a test on each kind that its markers leave."""
    if "stage" in metafunc.fixturenames:
        names = chosen(kinds(metafunc.config), metafunc.definition)
        metafunc.parametrize("stage", names, indirect=True)


@pytest.fixture(name="stage")
def _stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with kinds(request.config)[request.param].open() as stage:
        yield stage
