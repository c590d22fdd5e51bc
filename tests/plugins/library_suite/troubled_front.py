"""A front before any WSGI application, which fails its clients as a proxy or a broken server does."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.wrappers import Response

from tests.plugins.library_suite.stage import MANY, Trouble

_LONGEST = 60  # seconds that a silent server waits for the end of the trouble


class FrontStrike:
    """A trouble of ``times`` requests after the first ``after``, until it is over."""

    def __init__(self, trouble: Trouble, after: int, times: int) -> None:
        """Strike nothing yet."""
        self.trouble = trouble
        self.struck = False
        self.over = threading.Event()
        self._after, self._times, self._met = after, times, 0
        self._held: list[threading.Event] = []
        self._lock = threading.Lock()

    def meets(self) -> bool:
        """Count a request, and say whether it meets the trouble."""
        with self._lock:
            self._met += 1
            meets = self._after < self._met <= self._after + self._times
            self.struck = self.struck or meets
            return meets

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a request until the trouble is over; the block does it then."""
        done = threading.Event()
        self._held.append(done)
        try:
            self.over.wait(_LONGEST)
            yield
        finally:
            done.set()

    def end(self) -> None:
        """Let what was held be done, and wait for it."""
        self.over.set()
        for done in self._held:
            done.wait(_LONGEST)


class TroubledFront:
    """Passes requests on to ``application`` where no trouble is on; ``refusal`` is its own way to say no."""

    def __init__(self, application: Callable[..., Iterable[bytes]], refusal: Callable[[], Response]) -> None:
        """Pass everything on."""
        self._application, self._refusal = application, refusal
        self._strike: FrontStrike | None = None

    @contextmanager
    def troubled(self, trouble: Trouble, after: int = 0, times: int = MANY) -> Iterator[FrontStrike]:
        """Let requests meet the trouble while the block runs."""
        self._strike = strike = FrontStrike(trouble, after, times)
        try:
            yield strike
        finally:
            self._strike = None
            strike.end()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        strike = self._strike
        if strike is None or not strike.meets():
            return self._application(environ, start_response)
        return self._struck(strike, environ)(environ, start_response)

    def _struck(self, strike: FrontStrike, environ: dict[str, Any]) -> Response:
        if strike.trouble is Trouble.DOWN:
            return _dropped(environ)
        if strike.trouble is Trouble.REFUSED:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return self._refusal()
        if strike.trouble is Trouble.SILENT:
            with strike.held():
                return Response.from_app(self._application, environ)
        answer = Response.from_app(self._application, environ)
        if strike.trouble is Trouble.LOST:
            return _dropped(environ)
        if strike.trouble is Trouble.HALF:
            whole = answer.get_data()
            answer.set_data(whole[: len(whole) // 2])
        return answer


def _dropped(environ: dict[str, Any]) -> Response:
    """End the connection under the answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response(status=502)
