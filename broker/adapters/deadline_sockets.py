"""Connections whose every connect, send and read ends by one moment, however slow the peer is."""

import io
import threading
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer


class _Call(threading.local):
    """The moment (of ``time.monotonic``) by which this thread's present call has ended."""

    until: float = 0.0


_call = _Call()


def end_by(until: float) -> None:
    """Let the calls of this thread end by ``until``, a moment of ``time.monotonic``."""
    _call.until = until


def left() -> float:
    """Return the seconds that this thread's call has left; ``TimeoutError`` where none are."""
    seconds = _call.until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


class _TimedReader(io.RawIOBase):
    """Reads a socket by the deadline of the call.

    A timeout of the socket counts from every byte, this one from the start of the call.
    """

    def __init__(self, sock: "socket.socket", raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        self._sock.settimeout(left())
        return self._raw.readinto(buffer)

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
    connection.sock.settimeout(left())


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


def time_out(pools: PoolManager) -> None:
    """Let the pools of ``pools`` be of timed connections.

    They are for one thread, which calls ``end_by`` before every call.
    """
    pools.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTlsPool}
