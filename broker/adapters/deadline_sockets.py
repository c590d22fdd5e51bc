"""HTTP connections with one deadline and one size limit for a whole call.

Deadline and limit are stored by thread: ``set_deadline`` before a call, ``apply_deadline`` once for
each pool of connections.
"""

import io
import threading
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

# Limits of an answer: its body, and its headers with the framing of chunks.
_MOST_BODY: Final = 2 * 1024 * 1024
_MOST_FRAMING: Final = 2 * 1024 * 1024

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer


class _Call(threading.local):
    """Deadline (of ``time.monotonic``) of this thread's call, and octets read and allowed."""

    until: float = 0.0
    octets: int = 0
    most: int = 0


_call = _Call()


def set_deadline(until: float, most: int = _MOST_BODY) -> None:
    """Set the deadline of this thread's next call, a moment of ``time.monotonic``.

    ``most`` is the largest size of an answer's body.
    """
    _call.until = until
    _call.octets = 0
    _call.most = most + _MOST_FRAMING


def seconds_left() -> float:
    """Return the seconds left for this thread's call. Raises TimeoutError if none are left."""
    seconds = _call.until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


class _TimedReader(io.RawIOBase):
    """Reads a socket until the deadline of the call and the largest size of an answer.

    A socket's own timeout starts again with every byte. Count the octets here, because the layers
    above read a chunk of length -1 to its end before they count it.
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
    """An answer whose status line and headers have the deadline too."""

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


def apply_deadline(pools: PoolManager) -> None:
    """Use timed connections in ``pools``.

    The thread that uses them must call ``set_deadline`` before every call.
    """
    pools.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTlsPool}
