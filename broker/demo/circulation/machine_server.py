"""Answers self-service machines on a TCP port."""

import socketserver
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from broker.demo.circulation.machine_session import MachineSession
from broker.demo.circulation.sip2_messages import receive_lines
from broker.demo.server_thread import run_server

TERMINALS: Final[Mapping[str, str]] = {"machine": "demo-terminal"}  # user name: password
_IDLE: Final = 60.0  # seconds until a silent machine is disconnected


@contextmanager
def serve_machines(begin: Callable[[], MachineSession], port: int = 0) -> Iterator[int]:
    """Serve machines on 127.0.0.1 while the block runs; yield the port. Port 0 is a free one.

    ``begin`` creates the session of a new connection.
    """

    class Connection(socketserver.BaseRequestHandler):
        """The connection of one machine, in its own thread."""

        def handle(self) -> None:
            """Answer messages until the machine disconnects, times out or lacks a login."""
            self.request.settimeout(_IDLE)
            session = begin()
            with suppress(OSError):
                _answer_all(self.request, session)

    server = _Server(("127.0.0.1", port), Connection)
    with run_server(server):
        yield int(server.server_address[1])


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False  # a machine may stay connected


def _answer_all(connection: Any, session: MachineSession) -> None:
    for line in receive_lines(connection):
        reply = session.reply(line)
        if reply is None:
            return
        connection.sendall(reply)
        if session.is_over:
            return
