"""A client's connection: requests are read whole, and answers kept until the client takes them."""

import io
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from wsgiref.types import WSGIApplication

from gunicorn.config import Config as Settings
from gunicorn.http import wsgi
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from broker.app.application import LARGEST_BODY

_HEAD_END: Final = b"\r\n\r\n"
_LARGEST_HEAD: Final = 64 * 1024  # what nginx passes on at most: four buffers of 16 kB
_READ: Final = 64 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSAL: Final = (
    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    "Content-Length: {length}\r\n\r\n{status}\n"
)


Step = Callable[["BufferedConnection"], None]


class LengthRequired(ParseException):  # type: ignore[misc]  # gunicorn has no types
    """A body in chunks: no browser sends one, and chunks are what smuggled requests are made of."""


_STATUSES: Final = {
    ExpectationFailed: "417 Expectation Failed",
    LengthRequired: "411 Length Required",
    LimitRequestHeaders: "431 Request Header Fields Too Large",
    LimitRequestLine: "414 URI Too Long",
    UnsupportedTransferCoding: "501 Not Implemented",
}


class BufferedConnection:
    """The octets of one client on their way in and out.

    Only the loop of its worker reads and sends them; a thread answers what is whole.
    """

    def __init__(self, sock: socket.socket, peer: Any, server: Any, settings: Settings) -> None:
        """Take over an accepted socket; both addresses are in the form that the socket has them."""
        sock.settimeout(0)
        self._sock = sock
        self.until = 0.0  # when the worker gives it up, by the monotonic clock
        self.step: Step  # that the worker takes next
        self.awaited = 0  # what the worker lets the kernel tell of it
        self.closes = False  # the answer at hand is the last
        self._peer, self._server, self._settings = peer, server, settings
        self._requests = 0
        self._request: Any = None  # whose head has been read
        self._length = 0  # of its body
        self._arrived = bytearray()
        self._searched = 0  # so much of it holds no end of a head
        self._leaving = memoryview(b"")

    def fileno(self) -> int:
        """Return the descriptor of its socket, -1 once it is closed."""
        return self._sock.fileno()

    @property
    def held(self) -> int:
        """How many octets have arrived and were not read yet."""
        return len(self._arrived)

    @property
    def idle(self) -> bool:
        """Whether no request has begun to arrive."""
        return self._request is None and not self._arrived

    @property
    def sent(self) -> bool:
        """Whether the client has taken all of the answer."""
        return not self._leaving

    def receive(self) -> bool:
        """Take what has arrived; False where the client has closed. OSError where it is gone."""
        octets = self._sock.recv(_READ)
        if not self.closes:
            self._arrived += octets
        return bool(octets)

    def is_whole(self) -> bool:
        """Whether a request is here to its last octet; ParseException where it is none."""
        if self._request is None and not self._read_head():
            return False
        return self.closes or len(self._arrived) >= self._length

    def _read_head(self) -> bool:
        end = self._arrived.find(_HEAD_END, self._searched)
        if end < 0 and len(self._arrived) <= _LARGEST_HEAD:
            self._searched = max(0, len(self._arrived) - len(_HEAD_END))
            return False
        size = len(self._arrived)
        if end >= 0:
            size = end + len(_HEAD_END)
        request = self._parsed(bytes(self._arrived[:size]))
        del self._arrived[:size]
        self._searched = 0
        self._request = request
        self._length = _body_length(request)
        # The application refuses it by its length: nobody reads it, and what follows is unknown.
        self.closes = self._length > LARGEST_BODY
        if not self.closes and _asks_to_continue(request):
            with suppress(BlockingIOError):  # it still takes an answer, and may send without leave
                self._sock.send(_CONTINUE)
        return True

    def _parsed(self, head: bytes) -> Any:
        self._requests += 1
        try:
            return Request(self._settings, IterUnreader([head]), self._peer, self._requests)
        except NoMoreData:
            raise LimitRequestHeaders("head") from None

    def answer(self, application: WSGIApplication, *, last: bool) -> None:
        """Answer the request that is whole; ``last`` closes the connection after it.

        Whatever the application raises; nothing of its answer leaves then.
        """
        written = _Written()
        response, environ = wsgi.create(
            self._request, written, self._peer, self._server, self._settings
        )
        environ["wsgi.multithread"] = True
        environ["wsgi.input"] = io.BytesIO(self._take_body())
        if last or self.closes:
            response.force_close()
        parts: Any = application(environ, response.start_response)
        try:
            for part in parts:
                response.write(part)
            response.close()
        finally:
            if hasattr(parts, "close"):
                parts.close()
        self._leave(written.octets, last=response.should_close())

    def _take_body(self) -> bytes:
        if self.closes:
            return b""
        body = bytes(self._arrived[: self._length])
        del self._arrived[: self._length]
        return body

    def refuse(self, error: Exception) -> None:
        """Answer what was no request, or failed, by its status alone, and close then."""
        status = "500 Internal Server Error"
        if isinstance(error, ParseException):
            status = _STATUSES.get(type(error), "400 Bad Request")
        self._arrived.clear()
        self._leave(_REFUSAL.format(status=status, length=len(status) + 1).encode(), last=True)

    def _leave(self, octets: bytes | bytearray, *, last: bool) -> None:
        self.closes = last
        self._request = None
        self._leaving = memoryview(octets)

    def send(self) -> None:
        """Send as much of the answer as the client takes at once. OSError where it is gone."""
        try:
            taken = self._sock.send(self._leaving)
        except BlockingIOError:
            return
        self._leaving = self._leaving[taken:]

    def end_answer(self) -> None:
        """Tell the client that nothing follows. OSError where it is gone."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()


class _Written:
    """What gunicorn writes an answer to in place of a socket."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def sendall(self, octets: bytes) -> None:
        self.octets += octets

    def send(self, octets: bytes) -> None:
        """Drop "100 Continue", which the client has had before it sent the body."""


def _body_length(request: Any) -> int:
    """Return how many octets follow a head; LengthRequired where they come in chunks.

    gunicorn has refused the heads that leave a choice: two lengths, a length beside chunks, a
    length that is no number.

    Source: RFC 9112, section 6.3.
    """
    length = 0
    for name, value in request.headers:
        if name == "TRANSFER-ENCODING":
            raise LengthRequired
        if name == "CONTENT-LENGTH":
            length = int(value)
    return length


def _asks_to_continue(request: Any) -> bool:
    """Whether the body comes once we say so (RFC 9110, section 10.1.1)."""
    names = {name for name, _ in request.headers}
    return "EXPECT" in names and request.version >= (1, 1)
