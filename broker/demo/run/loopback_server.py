"""Serves a simulated party of the demo on loopback, from threads of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class _Keeping(WSGIRequestHandler):
    """Keeps connections open between requests, as real servers do, and writes no request lines."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing: a party that needs a log has its own."""


@contextmanager
def serve_on_loopback(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve ``app`` on 127.0.0.1 while the block runs; yield its address. Port 0 is a free one."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Keeping)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
