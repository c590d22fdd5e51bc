"""Starts one world for all interoperability tests: the start takes seconds, a login a tenth of a second."""

from collections.abc import Iterator

import pytest

from tests.interop.parties.world import World, world


@pytest.fixture(scope="session")
def interop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Start all parties once for the session."""
    with world(tmp_path_factory.mktemp("interop")) as found:
        yield found
