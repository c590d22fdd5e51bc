"""Finds free ports above the range that the system uses for outgoing connections."""

import os
import random
import socket
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Final


def own_ports(ports: Sequence[int]) -> Sequence[int]:
    """Return the ports of this pytest worker; the workers of a run share none.

    A test listens on a free port a moment after it was found, and another worker may find it free meanwhile.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return ports[number % workers :: workers]


_OURS: Final = own_ports(range(61000, 65500))
# Use the system's random numbers: the seeded ones are the same in every worker. Return each port once before repeating
# one: two ports of the same test must differ before the test listens on them.
_LAP: Final = cycle(random.SystemRandom().sample(_OURS, len(_OURS)))


def free_port() -> int:
    """Return a free port on loopback that no outgoing connection uses."""
    for port in islice(_LAP, len(_OURS)):
        if not is_port_in_use(port):
            return port
    raise AssertionError("no port is free")


def is_port_in_use(port: int) -> bool:
    """Return whether a loopback port is in use, without connecting to it."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
