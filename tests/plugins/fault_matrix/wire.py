"""Faults of single calls on the wire, before the simulated system of a library, and processes that die of them."""

import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple, Protocol

import pytest
from flask import Flask
from werkzeug.wrappers import Response

from broker.adapters.http_exchange import Exchange
from broker.demo.run.loopback_server import serve_on_loopback
from tests.plugins.fault_matrix.life import GIVEN_UP, LATE, Killed

Application = Callable[..., Iterable[bytes]]


class Call(NamedTuple):
    """One call of an enrolment: what its line looks like, and which of those that look so it is.

    ``during`` says in which enrolment it is met: of somebody new, or of one who becomes an employee.
    """

    line: str
    place: int = 0
    during: str = "new"


class Words(Protocol):
    """How a system answers what goes wrong."""

    def refused(self) -> Response:
        """Give its refusal."""
        ...

    def broken(self) -> Response:
        """Give its answer where it fails itself."""
        ...

    def void(self, environ: dict[str, Any], carry_out: Callable[[], Response]) -> Response:
        """Give the answer of a success that had no effect: of a look, that there is nobody."""
        ...


class WireFault:
    """A call that goes wrong once; ``dies`` kills the process that waits for its answer."""

    def __init__(self, world: Any, call: Call, kind: str, *, dies: bool) -> None:
        """Wait for the call."""
        self.world, self.kind, self.dies = world, kind, dies
        self.met = False
        self._line, self._place = re.compile(call.line), call.place
        self._lock = threading.Lock()
        self._late: list[tuple[Any, Callable[[], object]]] = []

    def meets(self, line: str) -> bool:
        """Count a call, and say whether it is the one."""
        with self._lock:
            if self.met or not self._line.search(line):
                return False
            self.met = self._place == 0
            self._place -= 1
            return self.met

    def begin(self, carry_out: Callable[[], object]) -> bool:
        """Do what the fault does to a call; say whether the connection ends without an answer."""
        if self.kind == "500 after":
            carry_out()
        if self.kind == "late":
            self._late.append((self.world.now, carry_out))
        if self.kind not in {"late", "dropped"}:
            return False
        self.world.now += GIVEN_UP
        return True

    def come_late(self) -> None:
        """Carry out what was given up long enough ago."""
        for sent, carry_out in list(self._late):
            if self.world.now - sent >= LATE:
                self._late.remove((sent, carry_out))
                carry_out()

    def kill(self) -> None:
        """Kill the process, if the call was met: it learns of no answer, and writes nothing more."""
        if self.met and self.dies:
            self.dies = False
            self.world.store.dead = True
            raise Killed

    def bury(self) -> None:
        """Let the next process write."""
        self.world.store.dead = False


class Mortal:
    """A store that a dead process does not reach: what tidies up behind an error does not run in it."""

    def __init__(self, store: Any) -> None:
        """Live."""
        self.dead = False
        self._store = store

    def __getattr__(self, name: str) -> Any:
        """Give what the store has."""
        member = getattr(self._store, name)
        if not callable(member):
            return member

        def called(*given: Any, **options: Any) -> Any:
            if self.dead:
                raise Killed
            return member(*given, **options)

        return called


@contextmanager
def at_risk(fault: WireFault) -> Iterator[None]:
    """Let whoever waits for an answer on the wire die of the fault while the block runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Exchange, "call", _killing(Exchange.call, fault))
        yield


def _killing(right: Callable[..., Any], fault: WireFault) -> Callable[..., Any]:
    def called(*given: Any, **options: Any) -> Any:
        try:
            return right(*given, **options)
        finally:
            fault.kill()

    return called


class WireFront:
    """Stands before one simulated system after another, on one port."""

    def __init__(self) -> None:
        """Stand before nothing yet."""
        self.fault: WireFault | None = None
        self._system: Application = Response("nobody", 503)
        self._words: Words | None = None

    def stand_before(self, system: Application, words: Words) -> None:
        """Pass everything on to a system from now on."""
        self.fault, self._system, self._words = None, system, words

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        line = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {body.decode()}"
        fault = self.fault
        if fault is None or not fault.meets(line):
            return self._system(environ, start_response)
        return self._struck(fault, environ)(environ, start_response)

    def _struck(self, fault: WireFault, environ: dict[str, Any]) -> Response:
        def carry_out() -> Response:
            return Response.from_app(self._system, environ, buffered=True)

        assert self._words
        if fault.begin(carry_out):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response(status=502)
        if fault.kind == "refused":
            return self._words.refused()
        if fault.kind == "without effect":
            return self._words.void(environ, carry_out)
        return self._words.broken()


@contextmanager
def hosted() -> Iterator[tuple[str, WireFront]]:
    """Serve a front while the block runs; give its address."""
    app, front = Flask("front"), WireFront()
    app.wsgi_app = front  # type: ignore[method-assign]  # as Flask documents it
    with serve_on_loopback(app) as url:
        yield url, front
