"""Free ports that nobody else is given: above those from which the system takes one for each connection it makes."""

import random
import socket
from itertools import cycle, islice
from typing import Final

_OURS: Final = range(61000, 65500)
# Not the seeded numbers, which are the same in every worker of one run; and each once a lap, since two that are asked
# for side by side must differ before either is listened at.
_LAP: Final = cycle(random.SystemRandom().sample(_OURS, len(_OURS)))


def free_port() -> int:
    """Give a port on loopback that was free a moment ago, and that no outgoing connection takes meanwhile."""
    for port in islice(_LAP, len(_OURS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no port is free")
