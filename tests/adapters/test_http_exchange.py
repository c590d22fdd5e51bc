"""The bounds of one HTTP exchange, tried against a server that keeps to none."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask

from broker.adapters.http_exchange import Exchange, HttpAnswer
from broker.core.errors import CallNotMade, LibraryUnavailable
from broker.demo.run.loopback_server import serve_on_loopback
from tests.plugins.feed_server import make_tls

pytestmark = pytest.mark.server

Raw = Callable[..., AbstractContextManager[str]]

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
_TRICKLED = 16  # pieces at 50 ms: whole after 0.8 seconds, well after the deadline


def _slowly(pieces: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        time.sleep(0.05)
        yield piece


def _headers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from _slowly([f"X-{number}: x\r\n".encode() for number in range(_TRICKLED)])
    yield b"Content-Length: 2\r\nConnection: close\r\n\r\n[]"


def _chunks() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    yield from _slowly([b"1\r\n \r\n"] * _TRICKLED)
    yield b"0\r\n\r\n"


def _call(url: str, seconds: float) -> HttpAnswer:
    return Exchange(url).call("GET", "/", time.monotonic() + seconds, headers={})


@pytest.mark.parametrize("pieces", [_headers, _chunks])
def test_an_answer_that_trickles_ends_with_the_deadline(raw: Raw, pieces: Callable[[], Iterator[bytes]]) -> None:
    """Each byte is in time, the whole is not: we hang up, be it among headers, body or chunks."""
    whole: list[bool] = []

    def yield_pieces() -> Iterator[bytes]:
        yield from pieces()
        whole.append(True)

    with raw(yield_pieces) as url, pytest.raises(LibraryUnavailable, match="no answer"):
        _call(url, 0.3)
    assert whole == []


def _huge() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(48):
        yield b"10000\r\n" + b" " * 65_536 + b"\r\n"
    yield b"0\r\n\r\n"


def _answer_compressed() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"


def _cut() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\nConnection: close\r\n\r\n[]"


def _chunk_of_less_than_nothing() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n-5\r\nabc"


@pytest.mark.parametrize("pieces", [_huge, _answer_compressed, _cut, _chunk_of_less_than_nothing])
def test_an_answer_out_of_bounds_is_none(raw: Raw, pieces: Callable[[], Iterator[bytes]]) -> None:
    """Over 2 MB, compressed though not asked for, cut short, or of a negative chunk: worth another try."""
    with raw(pieces) as url, pytest.raises(LibraryUnavailable, match="no answer") as caught:
        _call(url, 20)
    assert caught.value.__context__ is None


def test_a_chunk_to_the_end_of_everything_is_not_read_there(raw: Raw) -> None:
    """The library under us reads a chunk of length -1 as all that comes: it is hung up on within megabytes."""
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n-1\r\n"
        for _ in range(32):
            yield b" " * 1_048_576
            sent.append(1)

    with raw(endless) as url, pytest.raises(LibraryUnavailable, match="no answer"):
        _call(url, 20)
    assert len(sent) < 24


def test_a_redirect_is_not_followed(raw: Raw) -> None:
    """Following would carry the token and the CPR wherever the answer points."""
    asked: list[str] = []

    def elsewhere() -> Iterator[bytes]:
        asked.append("elsewhere")
        yield _OK + b"[]"

    with raw(elsewhere) as target:

        def answer_redirect() -> Iterator[bytes]:
            yield f"HTTP/1.1 307 x\r\nLocation: {target}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()

        with raw(answer_redirect) as url:
            assert _call(url, 20).status == 307
        assert asked == []


def test_the_accounts_proxy_is_not_used(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy named in the environment gets nothing to see."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    def fine() -> Iterator[bytes]:
        yield _OK + b"[]"

    with raw(fine) as url:
        assert _call(url, 20).json() == []


def test_a_call_that_was_not_sent_has_its_own_error(raw: Raw) -> None:
    """A call whose connection broke may have been carried out."""

    def call_unsent(url: str) -> None:
        Exchange(url, unsent=CallNotMade).call("POST", "/", time.monotonic() + 20, headers={}, body=b"{}")

    with pytest.raises(CallNotMade, match="no answer: ConnectionError"):
        call_unsent("http://127.0.0.1:9")
    with raw(lambda: iter([b""])) as url, pytest.raises(LibraryUnavailable) as broken:
        call_unsent(url)
    assert type(broken.value) is LibraryUnavailable


def test_an_error_carries_no_trace_of_the_request() -> None:
    """The failed request holds the CPR in headers and body: no exception may lead a crash reporter to it."""
    with pytest.raises(LibraryUnavailable) as caught:
        _call("http://127.0.0.1:9", 20)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_session_cookie_is_not_sent_back(raw: Raw) -> None:
    """Koha would go on as the session of the cookie, whatever token comes with it."""
    seen: list[bytes] = []

    def cookie() -> Iterator[bytes]:
        yield _OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: CGISESSID=x\r\n\r\n") + b"[]"

    with raw(cookie, seen) as url:
        exchange = Exchange(url)
        for _ in range(2):
            exchange.call("GET", "/", time.monotonic() + 20, headers={})
    assert len(seen) == 2
    assert b"cookie" not in b"".join(seen).lower()


class KeepingServer(ThreadingHTTPServer):
    """Keeps connections open, and counts those made, those open now and the most calls at a time."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a port of loopback."""
        super().__init__(("127.0.0.1", 0), _Keeping)
        self.lock = threading.Lock()
        self.made = self.open = self.at_once = self.most = 0
        self.delay = 0.0

    def add(self, name: str, count: int) -> None:
        """Count."""
        with self.lock:
            setattr(self, name, getattr(self, name) + count)
            self.most = max(self.most, self.at_once)


class _Keeping(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: KeepingServer

    def handle(self) -> None:
        self.server.add("made", 1)
        self.server.add("open", 1)
        try:
            super().handle()
        finally:
            self.server.add("open", -1)

    def do_GET(self) -> None:
        self.server.add("at_once", 1)
        time.sleep(self.server.delay)
        self.server.add("at_once", -1)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="keeping")
def _keeping() -> Iterator[KeepingServer]:
    server = KeepingServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _get(exchange: Exchange, seconds: float = 20) -> int:
    return exchange.call("GET", "/", time.monotonic() + seconds, headers={}).status


def test_another_process_has_connections_of_its_own(keeping: KeepingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fork two processes on one connection would read each other's answers."""
    exchange = Exchange(f"http://127.0.0.1:{keeping.server_port}")
    assert [_get(exchange), _get(exchange)] == [200, 200]
    assert keeping.made == 1
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert _get(exchange) == 200
    assert keeping.made == 2


def test_connections_are_limited_and_shared(keeping: KeepingServer) -> None:
    """Ten threads use two connections, because a Koha with two workers serves no more at a time."""
    keeping.delay = 0.02
    exchange = Exchange(f"http://127.0.0.1:{keeping.server_port}", connections=2)
    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(lambda _: _get(exchange), range(30))) == {200}
    assert keeping.most == 2
    assert keeping.made <= 4


def test_a_call_that_gets_no_connection_in_time_is_not_made(keeping: KeepingServer) -> None:
    """The caller may then be sure that nothing was sent."""
    keeping.delay = 1.0
    exchange = Exchange(f"http://127.0.0.1:{keeping.server_port}", connections=1, unsent=CallNotMade)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(_get, exchange)
        while not keeping.at_once:
            time.sleep(0.01)
        with pytest.raises(CallNotMade):
            _get(exchange, 0.2)
        assert first.result() == 200


def test_tls_is_verified(tmp_path: Path) -> None:
    """A certificate that no trusted authority signed is no library system; a private authority can be named."""
    tls, trusted = make_tls(tmp_path)
    with serve_on_loopback(Flask(__name__), tls=tls) as url:
        with pytest.raises(LibraryUnavailable, match="no answer: SSLError"):
            _call(url, 20)
        assert Exchange(url, str(trusted)).call("GET", "/", time.monotonic() + 20, headers={}).status == 404
