"""A request is handed on when it is whole, and never when it may be read in two ways; an answer is kept."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from gunicorn.config import Config as Settings
from gunicorn.http.errors import ParseException
from hypothesis import example, given
from hypothesis import strategies as st

from broker.app.application import LARGEST_BODY
from broker.app.buffered_connection import BufferedConnection

HOST = b"Host: broker\r\n"
POST = b"POST /acs HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
GET = b"GET /page HTTP/1.1\r\n" + HOST


@dataclass
class Echo:
    """An application that keeps what it was asked and answers with it."""

    asked: list[tuple[str, bytes]] = field(default_factory=list)
    lengths: list[str] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request by its path and body."""
        body = environ["wsgi.input"].read()
        self.asked.append((environ["PATH_INFO"], body))
        self.lengths.append(environ.get("CONTENT_LENGTH", ""))
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@dataclass
class Wire:
    """A connection of ours, and the client's end of it."""

    connection: BufferedConnection
    client: socket.socket

    def sends(self, octets: bytes) -> None:
        """Let the client send, and take it all."""
        for begin in range(0, len(octets), 50_000):
            self.client.sendall(octets[begin : begin + 50_000])
            self.connection.receive()

    def reads(self) -> bytes:
        """Send the answer as far as it goes, and give what the client has of it."""
        self.connection.send()
        self.client.setblocking(False)  # noqa: FBT003
        try:
            return self.client.recv(1_000_000)
        except BlockingIOError:
            return b""


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Give a connection with limits as ``broker serve`` sets them."""
    with joined() as found:
        yield found


class joined:  # noqa: N801 - reads as a function
    """Join a connection of ours to a client."""

    def __enter__(self) -> Wire:
        """Open both ends."""
        settings = Settings()
        settings.set("limit_request_line", 8190)
        settings.set("limit_request_field_size", 16380)
        ours, self.client = socket.socketpair()
        self.connection = BufferedConnection(ours, ("192.0.2.1", 1), ("127.0.0.1", 8000), settings)
        return Wire(self.connection, self.client)

    def __exit__(self, *_: object) -> None:
        """Close both ends."""
        self.connection.close()
        self.client.close()


def answered(wire: Wire, application: Echo) -> list[tuple[str, bytes]]:
    """Answer every whole request that is here, and give what was asked."""
    while wire.connection.is_whole():
        wire.connection.answer(application, last=False)
        wire.reads()
    return application.asked


def test_a_request_is_whole_with_its_last_octet(wire: Wire) -> None:
    """Not when it begins, not when its head is here, not one octet before the end."""
    request = POST + b"Content-Length: 13\r\n\r\nSAMLRequest=x"
    for octet in range(len(request) - 1):
        wire.sends(request[octet : octet + 1])
        assert not wire.connection.is_whole()
    wire.sends(request[-1:])
    assert answered(wire, Echo()) == [("/acs", b"SAMLRequest=x")]


@example([("long" * 20, b""), ("a", b"")], [40, 40, 40])
@given(
    st.lists(st.tuples(st.sampled_from(["a", "long" * 20]), st.binary(max_size=30)), max_size=4),
    st.lists(st.integers(1, 40)),
)
def test_however_it_is_cut_it_is_read_the_same(requests: list[tuple[str, bytes]], cuts: list[int]) -> None:
    """Requests one behind the other keep their order and their own bodies, wherever the network cuts them."""
    stream = b"".join(
        f"POST /{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        for name, body in requests
    )
    with joined() as wire:
        application = Echo()
        for size in cuts:
            wire.sends(stream[:size])
            stream = stream[size:]
            answered(wire, application)
        wire.sends(stream)
        assert answered(wire, application) == [(f"/{name}", body) for name, body in requests]
        assert wire.connection.idle


@pytest.mark.parametrize(("octets", "status"), [
    (b"GET /x\0 HTTP/1.1\r\n" + HOST + b"\r\n", b"400"),
    (GET + b"X\0Y: 1\r\n\r\n", b"400"),
    (GET + b"X: 1\0\r\n\r\n", b"400"),
    (GET + b"X Y: 1\r\n\r\n", b"400"),
    (GET + b"X: 1\r\n 2\r\n\r\n", b"400"),
    (GET + HOST + b"\r\n", b"400"),
    (b"GET /?cpr=1403044004\r\n\r\n", b"400"),
    (b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n", b"400"),
    (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", b"400"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
    (b"\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\nHost: x\r\n\r\n", b"400"),
    (b"GET /" + b"x" * 8190 + b" HTTP/1.1\r\n" + HOST + b"\r\n", b"414"),
    (b"GET /" + b"x" * 70_000, b"414"),
    (GET + b"Cookie: " + b"x" * 16_400 + b"\r\n\r\n", b"431"),
    (GET + b"Cookie: " + b"x" * 70_000, b"431"),
    (GET + b"".join(b"X-%d: y\r\n" % each for each in range(200)) + b"\r\n", b"431"),
    (GET + (b"Cookie: " + b"x" * 16_000 + b"\r\n") * 5, b"431"),
    (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", b"417"),
    (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", b"400"),
    (POST + b"Content-Length: 5, 5\r\n\r\n", b"400"),
    (POST + b"Content-Length: +5\r\n\r\n", b"400"),
    (POST + b"Content-Length: -1\r\n\r\n", b"400"),
    (POST + b"Content-Length: 0x5\r\n\r\n", b"400"),
    (POST + "Content-Length: ²\r\n\r\n".encode("latin-1"), b"400"),
    (POST + b"Content-Length : 5\r\n\r\n", b"400"),
    (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", b"400"),
    (POST + b"Transfer-Encoding: identity\r\n\r\n", b"400"),
    (POST + b"Transfer-Encoding : chunked\r\n\r\n", b"400"),
    (POST + b"Transfer-Encoding: xchunked\r\n\r\n", b"501"),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
    (POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n", b"400"),
])  # fmt: skip
def test_what_may_be_read_in_two_ways_is_refused(wire: Wire, octets: bytes, status: bytes) -> None:
    """By its status alone, nothing of it quoted; the connection ends, so that nothing behind it is a request.

    Source: RFC 9112, sections 6.3 and 11.2.
    """
    wire.sends(octets)
    with pytest.raises(ParseException) as caught:
        wire.connection.is_whole()
    wire.connection.refuse(caught.value)
    head, _, body = wire.reads().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in head
    assert body == head.splitlines()[0].removeprefix(b"HTTP/1.1 ") + b"\n"
    wire.sends(GET + b"\r\n")
    assert (wire.connection.closes, wire.connection.is_whole()) == (True, False)


def test_a_head_as_large_as_the_proxy_passes_is_read(wire: Wire) -> None:
    """An address of 8,000 letters and 16,000 of cookies: SAML by HTTP-Redirect among many logins side by side."""
    wire.sends(b"GET /" + b"x" * 8_000 + b" HTTP/1.1\r\n" + HOST + b"Cookie: " + b"x" * 16_000 + b"\r\n\r\n")
    assert wire.connection.is_whole()


@pytest.mark.parametrize(("over", "body", "closes"), [(0, LARGEST_BODY, False), (1, 0, True)])
def test_a_body_is_bounded(wire: Wire, *, over: int, body: int, closes: bool) -> None:
    """What is longer than the application takes is not read: it is told the length, and the connection ends."""
    length = LARGEST_BODY + over
    application = Echo()
    wire.sends(POST + b"Content-Length: %d\r\n\r\n" % length)
    assert wire.connection.is_whole() is closes
    wire.sends(b"x" * length)
    assert wire.connection.is_whole()
    assert (wire.connection.held == 0) is closes
    wire.connection.answer(application, last=False)
    assert (len(application.asked[0][1]), application.lengths) == (body, [str(length)])
    assert wire.connection.closes is closes


def test_a_client_that_waits_for_leave_gets_it_once_and_before_the_body(wire: Wire) -> None:
    """Source: RFC 9110, section 10.1.1."""
    wire.sends(POST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    assert not wire.connection.is_whole()
    assert wire.client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sends(b"x")
    assert wire.connection.is_whole()
    wire.connection.answer(Echo(), last=False)
    assert wire.reads().startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("head", [
    POST + b"Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n",
    POST.replace(b"1.1", b"1.0") + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n",
])  # fmt: skip
def test_no_leave_for_what_is_not_read_or_did_not_ask(wire: Wire, head: bytes) -> None:
    """A body that is too long is answered at once; HTTP/1.0 has no such question."""
    wire.sends(head)
    wire.connection.is_whole()
    assert wire.reads() == b""


def test_leave_that_finds_no_room_holds_up_no_request(wire: Wire) -> None:
    """The client has not taken what it was sent before; its body is here, and nothing else would come to wake us."""
    with suppress(BlockingIOError):
        while True:
            wire.connection._sock.send(b"x" * 10_000)
    with suppress(BlockingIOError):
        while True:
            wire.connection._sock.send(b"x")
    wire.sends(POST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\nx")
    assert wire.connection.is_whole()


def test_a_slow_client_finds_its_answer_kept(wire: Wire) -> None:
    """However little it takes at a time, nothing waits for it and nothing is lost."""
    page = b"x" * 3_000_000

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(page)))])
        return [page[:5], page[5:]]

    wire.sends(GET + b"\r\n")
    assert wire.connection.is_whole()
    wire.connection.answer(application, last=True)
    taken = wire.reads()
    assert not wire.connection.sent
    while part := wire.reads():
        taken += part
    assert wire.connection.sent
    assert taken.partition(b"\r\n\r\n")[2] == page


def test_nothing_leaves_of_an_answer_that_failed(wire: Wire) -> None:
    """Not even what had been written: the client gets 500 alone, and every part of the answer was closed."""
    closed: list[bool] = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            yield b"half a page"
            raise ValueError

        def close(self) -> None:
            closed.append(True)

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Parts()

    wire.sends(GET + b"\r\n")
    assert wire.connection.is_whole()
    with pytest.raises(ValueError):  # noqa: PT011
        wire.connection.answer(application, last=False)
    assert closed == [True]
    wire.connection.refuse(ValueError())
    assert wire.reads().startswith(b"HTTP/1.1 500 Internal Server Error\r\nConnection: close")


@pytest.mark.parametrize(("head", "last", "closes"), [
    (GET + b"\r\n", False, False),
    (GET + b"\r\n", True, True),
    (GET + b"Connection: close\r\n\r\n", False, True),
    (b"GET / HTTP/1.0\r\n\r\n", False, True),
])  # fmt: skip
def test_a_connection_stays_open_unless_one_side_ends_it(wire: Wire, *, head: bytes, last: bool, closes: bool) -> None:
    """The client by its version or header, ours when the worker ends."""
    wire.sends(head)
    assert wire.connection.is_whole()
    wire.connection.answer(Echo(), last=last)
    assert wire.connection.closes is closes
    assert (b"Connection: close" in wire.reads()) is closes
