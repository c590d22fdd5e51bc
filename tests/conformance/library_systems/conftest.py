"""Runs each library system for the contract tests of its port, and checks every error for personal values."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conformance.library_suite.observed_calls import Observations, check_errors
from tests.conformance.library_suite.stage import Kind, Stage
from tests.conformance.library_suite.table import chosen, kinds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with each kind of library system that its markers select."""
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
        yield replace(stage, library=check_errors(stage.library))


@pytest.fixture(name="kind")
def _kind(request: pytest.FixtureRequest) -> Kind:
    return kinds(request.config)[request.param]
