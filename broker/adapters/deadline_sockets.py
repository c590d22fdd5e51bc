"""Connections whose every connect, send and read ends by one moment, and at one size."""

import io
import threading
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

# Of a whole answer: 2 MB of body, and as much again of headers and of what chunks are framed in.
_MOST_BODY: Final = 2 * 1024 * 1024
_MOST_FRAMING: Final = 2 * 1024 * 1024

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer


class _Call(threading.local):
    """The moment (of ``time.monotonic``) by which this thread's present call has ended.

    Beside it what has been read in that call, and what may be.
    """

    until: float = 0.0
    octets: int = 0
    most: int = 0


_call = _Call()


def end_by(until: float, most: int = _MOST_BODY) -> None:
    """Let the calls of this thread end by ``until``, a moment of ``time.monotonic``.

    ``most`` are the octets that the body of an answer may have.
    """
    _call.until = until
    _call.octets = 0
    _call.most = most + _MOST_FRAMING


def seconds_left() -> float:
    """Return the seconds that this thread's call has left; ``TimeoutError`` where none are."""
    seconds = _call.until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


class _TimedReader(io.RawIOBase):
    """Reads a socket by the deadline of the call, and no further than any answer reaches.

    A timeout of the socket counts from every byte, this one from the start of the call. What is
    counted above this has been read already: a chunk of length -1 is read to its end at once.
    """

    def __init__(self, sock: "socket.socket", raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        self._sock.settimeout(seconds_left())
        count = self._raw.readinto(buffer)
        _call.octets += count or 0
        if _call.octets > _call.most:
            raise OSError("the answer is too long")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedAnswer(HTTPResponse):
    """An answer whose status line and headers are read by the deadline too, not its body alone."""

    def __init__(self, sock: "socket.socket", *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp.detach()))


class _TimedConnection(HTTPConnection):
    response_class = _TimedAnswer

    def send(self, data: Any) -> None:
        _send_timed(self)
        super().send(data)


class _TimedTlsConnection(HTTPSConnection):
    response_class = _TimedAnswer

    def send(self, data: Any) -> None:
        _send_timed(self)
        super().send(data)


def _send_timed(connection: HTTPConnection) -> None:
    if connection.sock is None:
        connection.connect()
    connection.sock.settimeout(seconds_left())


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


def time_out(pools: PoolManager) -> None:
    """Let the pools of ``pools`` be of timed connections.

    They are for one thread, which calls ``end_by`` before every call.
    """
    pools.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTlsPool}
