"""One world for all tests of interop: starting it takes seconds, a login in it a tenth of one."""

from collections.abc import Iterator

import pytest

from tests.interop.parties.world import World, world


@pytest.fixture(scope="session")
def interop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give everybody, running."""
    with world(tmp_path_factory.mktemp("interop")) as found:
        yield found
