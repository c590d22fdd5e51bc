"""A demo that runs as ``make demo`` runs it: a real gunicorn with two workers, on free ports."""

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from broker.demo.running import Running, running
from broker.demo.setting import PARTIES, Ports, write


def free_base() -> int:
    """Give a port from which enough in a row are free."""
    for base in range(20000 + os.getpid() % 10000, 60000, 37):
        with socket.socket() as probe:
            if not any(probe.connect_ex(("127.0.0.1", base + offset)) == 0 for offset in range(len(PARTIES))):
                return base
    raise AssertionError("no free ports")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give the demo as ``make demo`` starts it, on free ports."""
    setting = write(tmp_path_factory.mktemp("demo") / "demo", Ports(free_base()), datetime.now(UTC))
    with running(setting) as found:
        yield found
