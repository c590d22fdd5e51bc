"""Finds once for each file which hooks run for its tests: pytest asks it a dozen times for each test."""

from functools import cache

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the answers from now on: every conftest that there is has been read."""
    setattr(session, "gethookproxy", cache(session.gethookproxy))  # noqa: B010 - a method, which mypy takes for one
