"""A raw server, for answers that no peer gives."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest


@pytest.fixture(name="raw")
def _raw() -> Callable[..., object]:
    """Give a server that reads one request of each connection and answers with what ``pieces`` yields."""

    @contextmanager
    def raw(pieces: Callable[[], Iterator[bytes]], seen: list[bytes] | None = None) -> Iterator[str]:
        listener = socket.create_server(("127.0.0.1", 0))
        over = threading.Event()

        def answer() -> None:
            while not over.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        request = connection.recv(65_536)
                        if seen is not None and request:
                            seen.append(request)
                        for piece in pieces():
                            connection.sendall(piece)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            with suppress(OSError):
                socket.create_connection(listener.getsockname(), 1).close()
            thread.join()
            listener.close()

    return raw
