"""A WSGI middleware that fails requests as a proxy or a broken server does."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.wrappers import Response

from tests.conformance.library_suite.stage import MANY, Trouble

_LONGEST = 60  # seconds that a silent server waits for the end of the failure
_PACE = 0.1  # seconds between two bytes
_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class FrontStrike:
    """A failure of ``times`` requests after the first ``after`` requests."""

    def __init__(self, trouble: Trouble, after: int, times: int) -> None:
        """Start without affected requests."""
        self.trouble = trouble
        self.struck = False
        self.over = threading.Event()
        self._after, self._times, self._met = after, times, 0
        self._held: list[threading.Event] = []
        self._lock = threading.Lock()

    def meets(self) -> bool:
        """Count a request and return whether it fails."""
        with self._lock:
            self._met += 1
            meets = self._after < self._met <= self._after + self._times
            self.struck = self.struck or meets
            return meets

    @contextmanager
    def hold_request(self) -> Iterator[None]:
        """Hold a request until the failure ends, then carry it out."""
        done = threading.Event()
        self._held.append(done)
        try:
            self.over.wait(_LONGEST)
            yield
        finally:
            done.set()

    def end(self) -> None:
        """Carry out the held requests and wait for them."""
        self.over.set()
        for done in self._held:
            done.wait(_LONGEST)


class TroubledFront:
    """Passes requests to ``application`` unless they fail; ``refusal`` builds the application's error answer."""

    def __init__(self, application: Callable[..., Iterable[bytes]], refusal: Callable[[], Response]) -> None:
        """Pass all requests on at first."""
        self._application, self._refusal = application, refusal
        self._strike: FrontStrike | None = None
        self._last: dict[str, Response] = {}

    @contextmanager
    def cause_trouble(self, trouble: Trouble, after: int = 0, times: int = MANY) -> Iterator[FrontStrike]:
        """Let requests fail while the block runs."""
        self._strike = strike = FrontStrike(trouble, after, times)
        try:
            yield strike
        finally:
            self._strike = None
            strike.end()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        strike = self._strike
        if strike is None:
            answer = self._last[environ["REQUEST_METHOD"]] = Response.from_app(
                self._application, environ, buffered=True
            )
            return answer(environ, start_response)
        if not strike.meets():
            return self._application(environ, start_response)
        return self._struck(strike, environ)(environ, start_response)

    def _struck(self, strike: FrontStrike, environ: dict[str, Any]) -> Response:
        if strike.trouble is Trouble.DOWN:
            return _drop_connection(environ)
        if strike.trouble in _NOT_DONE:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return self._instead(strike.trouble, environ["REQUEST_METHOD"])
        if strike.trouble is Trouble.SILENT:
            with strike.hold_request():
                return Response.from_app(self._application, environ)
        answer = Response.from_app(self._application, environ)
        if strike.trouble is Trouble.LOST:
            return _drop_connection(environ)
        if strike.trouble is Trouble.HALF:
            whole = answer.get_data()
            answer.set_data(whole[: len(whole) // 2])
        if strike.trouble is Trouble.TRICKLE:
            answer.response = _trickle(answer.get_data(), strike.over)
        return answer

    def _instead(self, trouble: Trouble, method: str) -> Response:
        """Return the answer that replaces the application's answer."""
        if trouble is Trouble.NO_PAGE:
            return Response(_HTML.format("404 Not Found"), 404, mimetype="text/html")
        if trouble is Trouble.NO_ROUTE:
            return Response('{"message": "no Route matched with those values"}', 404, mimetype="application/json")
        if trouble is Trouble.BAD_GATEWAY:
            return Response(_HTML.format("502 Bad Gateway"), 502, mimetype="text/html")
        if trouble is Trouble.ANOTHER and method in self._last:
            return self._last[method]
        answer = self._refusal()
        if trouble is Trouble.BROKEN:
            answer.status_code = 500
        return answer


_NOT_DONE = {Trouble.REFUSED, Trouble.NO_PAGE, Trouble.NO_ROUTE, Trouble.BAD_GATEWAY, Trouble.BROKEN, Trouble.ANOTHER}


def _trickle(body: bytes, over: threading.Event) -> Iterator[bytes]:
    for place in range(len(body)):
        over.wait(_PACE)
        yield body[place : place + 1]


def _drop_connection(environ: dict[str, Any]) -> Response:
    """Close the connection while the answer is sent."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response(status=502)
