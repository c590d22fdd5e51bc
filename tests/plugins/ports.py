"""Free ports that nobody else is given: above those from which the system takes one for each connection it makes."""

import os
import random
import socket
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Final


def own_ports(ports: Sequence[int]) -> Sequence[int]:
    """Give the ports that this worker of a run may take: each has its own, and none is given to two at once.

    A port that is free is listened at a moment later only, when another worker may have found it free too.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return ports[number % workers :: workers]


_OURS: Final = own_ports(range(61000, 65500))
# Not the seeded numbers, which are the same in every worker of one run; and each once a lap, since two that are asked
# for side by side must differ before either is listened at.
_LAP: Final = cycle(random.SystemRandom().sample(_OURS, len(_OURS)))


def free_port() -> int:
    """Give a port on loopback that was free a moment ago, and that no outgoing connection takes meanwhile."""
    for port in islice(_LAP, len(_OURS)):
        if not is_port_in_use(port):
            return port
    raise AssertionError("no port is free")


def is_port_in_use(port: int) -> bool:
    """Say whether somebody is at a port of loopback; a server that listens there, of another test, is not called."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
