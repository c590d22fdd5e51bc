"""Asking the broker on this machine whether it is ready, as a supervisor does."""

import json
import socket
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from broker.configuration.settings.config import Config

_PROBE_TIMEOUT: Final = 5
_PORT: Final = 8000  # gunicorn's, where serve.bind names none


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of the broker on this machine: "ready", "not ready" and why, or "no answer"."""

    status: str
    faults: tuple[str, ...] = ()


def health(config: Config) -> Health:
    """Ask the broker on this machine, past any proxy, at the address and path it listens on."""
    connection = _connection(config.serve.bind)
    try:
        connection.request("GET", urlsplit(config.base_url).path + "/readyz")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (OSError, HTTPException, ValueError):
        return Health("no answer")
    finally:
        connection.close()
    if answer.status == 200:
        return Health("ready")
    reasons: list[str] = []
    for name, faults in body.items():
        if isinstance(faults, list):
            reasons.extend(f"{name}: {fault}" for fault in faults)
    return Health("not ready", tuple(reasons))


class _SocketFile(HTTPConnection):
    """HTTP over the socket file that ``serve.bind`` may name."""

    def connect(self) -> None:
        """Connect to the socket file in ``host``."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def _connection(bind: str) -> HTTPConnection:
    """Return a connection to a gunicorn at ``HOST:PORT``, ``:PORT``, ``HOST`` or ``unix:FILE``."""
    if bind.startswith("unix:"):
        connection = _SocketFile("localhost", timeout=_PROBE_TIMEOUT)
        connection.host = bind.removeprefix("unix:").removeprefix("//")
        return connection
    address = urlsplit(f"//{bind}")
    host = address.hostname or "127.0.0.1"
    return HTTPConnection(host, address.port or _PORT, timeout=_PROBE_TIMEOUT)
