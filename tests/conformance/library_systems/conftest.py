"""Puts each library system on the stage for the laws of its port, and reads every error of every call."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conformance.library_suite.overheard import Observations, overheard
from tests.conformance.library_suite.stage import Kind, Stage
from tests.conformance.library_suite.table import chosen, kinds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play a test on each kind that its markers leave."""
    for fixture in ("stage", "kind"):
        if fixture in metafunc.fixturenames:
            names = chosen(kinds(metafunc.config), metafunc.definition)
            metafunc.parametrize(fixture, names, indirect=True)


@pytest.fixture(name="observed")
def _make_observations() -> Observations:
    return Observations()


@pytest.fixture(name="stage")
def _stage(request: pytest.FixtureRequest, observed: Observations) -> Iterator[Stage]:
    with kinds(request.config)[request.param].open(observed) as stage:
        yield replace(stage, library=overheard(stage.library))


@pytest.fixture(name="kind")
def _kind(request: pytest.FixtureRequest) -> Kind:
    return kinds(request.config)[request.param]
