"""A demo that runs as ``make demo`` runs it: a real gunicorn with two workers, on free ports."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Final

import pytest

from broker.demo.run.demo_folder import PARTIES, Ports, write
from broker.demo.run.running_demo import Running, running
from tests.plugins.ports import is_port_in_use, own_ports

# Below the ports that the system takes for connections; in steps, so that two bases share all ports or none.
_BASES: Final = own_ports(range(20000, 32000, 16))
# Each once a lap, as those of tests/plugins/ports.py: a demo that is written listens some seconds later.
_LAP: Final = cycle(random.SystemRandom().sample(_BASES, len(_BASES)))


def free_base() -> int:
    """Give a port from which enough in a row are free."""
    for base in islice(_LAP, len(_BASES)):
        if not any(is_port_in_use(base + offset) for offset in range(len(PARTIES))):
            return base
    raise AssertionError("no free ports")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give the demo as ``make demo`` starts it, on free ports."""
    setting = write(tmp_path_factory.mktemp("demo") / "demo", Ports(free_base()), datetime.now(UTC))
    with running(setting) as found:
        yield found
