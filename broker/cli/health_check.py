"""The command that asks the broker on this machine whether it is ready."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

import click

from broker.app.named_configuration import configuration
from broker.cli.output import FINDINGS, as_json, printing_faults
from broker.configuration.settings.config import Config

_TIMEOUT_S: Final = 5
_GUNICORN_PORT: Final = 8000  # gunicorn's default, if serve.bind has no port


@click.command("healthcheck", short_help="Ask the running broker whether it is ready.")
@as_json
@printing_faults
def health_check(*, as_json: bool) -> None:
    """Ask the running broker on this machine whether it is ready.

    Exit 1 with the reasons if it is not.
    """
    status, faults = ask_health(configuration())
    if as_json:
        click.echo(json.dumps({"status": status, "faults": faults}))
    else:
        click.echo("\n".join((status, *faults)))
    if status != "ready":
        raise SystemExit(FINDINGS)


def ask_health(config: Config) -> tuple[str, list[str]]:
    """Return "ready", "not ready" or "no answer", and why the broker is not ready.

    The request goes to ``serve.bind`` directly, not through a proxy.
    """
    connection = _connection(config.serve.bind)
    try:
        connection.request("GET", urlsplit(config.base_url).path + "/readyz")
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (OSError, HTTPException, ValueError):
        return "no answer", []
    finally:
        connection.close()
    if answer.status == 200:
        return "ready", []
    named = [(name, faults) for name, faults in body.items() if isinstance(faults, list)]
    return "not ready", [f"{name}: {fault}" for name, faults in named for fault in faults]


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
        connection = _SocketFile("localhost", timeout=_TIMEOUT_S)
        connection.host = bind.removeprefix("unix:").removeprefix("//")
        return connection
    address = urlsplit(f"//{bind}")
    host = address.hostname or "127.0.0.1"
    return HTTPConnection(host, address.port or _GUNICORN_PORT, timeout=_TIMEOUT_S)
