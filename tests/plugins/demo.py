"""Starts the demo as ``make demo`` does: gunicorn with two workers, on free ports."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import pytest

from broker.demo.run.demo_folder import PARTIES, Ports, Setting, write
from broker.demo.run.running_demo import Running, run_demo
from tests.plugins.ports import is_port_in_use, own_ports

# Below the ports that the system uses for outgoing connections. In steps, so that two rows never overlap.
_BASES: Final = own_ports(range(20000, 32000, 16))
# Use each base once before repeating one, as tests/plugins/ports.py does: a demo listens some seconds after this.
_LAP: Final = cycle(random.SystemRandom().sample(_BASES, len(_BASES)))


def free_base() -> int:
    """Return the first port of a row of free ports that is long enough for the demo."""
    for base in islice(_LAP, len(_BASES)):
        if not any(is_port_in_use(base + offset) for offset in range(len(PARTIES))):
            return base
    raise AssertionError("no free ports")


def write_demo(folder: Path, **settings: Any) -> Setting:
    """Write a demo on free ports. Each of its processes checks its keys, which takes a third of the time at 2048 bits."""
    return write(folder, Ports(free_base()), datetime.now(UTC), key_size=2048, **settings)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return the demo as ``make demo`` starts it, on free ports."""
    setting = write_demo(tmp_path_factory.mktemp("demo") / "demo")
    with run_demo(setting) as found:
        yield found
