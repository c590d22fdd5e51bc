"""Free ports that nobody else is given: above those from which the system takes one for each connection it makes."""

import random
import socket
from typing import Final

_OURS: Final = range(61000, 65500)


def free_port() -> int:
    """Give a port on loopback that was free a moment ago, and that no outgoing connection takes meanwhile."""
    # Not the seeded numbers, which are the same in every worker of one run.
    for port in random.SystemRandom().sample(_OURS, len(_OURS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no port is free")
