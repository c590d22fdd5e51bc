"""Serves a simulated party of the demo on loopback, from threads of this process."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from broker.demo.server_thread import run_server


class _Quiet(WSGIRequestHandler):
    """A request handler that writes no request lines."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing: a party that needs a log writes its own."""


class _KeepAlive(_Quiet):
    """A request handler that keeps connections open between requests, as real servers do."""

    protocol_version = "HTTP/1.1"


@contextmanager
def serve_on_loopback(
    app: Flask, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve ``app`` on 127.0.0.1 while the block runs; yield its address. Port 0 is a free one.

    With ``tls`` each request needs a new connection, so that certificates are checked again.
    """
    server = make_server(
        "127.0.0.1",
        port,
        app,
        threaded=True,
        request_handler=_Quiet if tls else _KeepAlive,
        ssl_context=tls,
    )
    scheme = "https" if tls else "http"
    with run_server(server):
        yield f"{scheme}://127.0.0.1:{server.server_port}"
