"""The worker's loop over real sockets: who is answered, who waits, and who is given up."""

import os
import random
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from gunicorn.config import Config as Settings
from gunicorn.sock import TCPSocket

from broker.app import buffering_worker
from broker.app.buffering_worker import BufferingWorker
from broker.app.gunicorn_server import Terse

pytestmark = pytest.mark.server

_PATIENCE = 60.0  # seconds until a test that waits in vain fails
_NEVER = 10 * _PATIENCE
_LARGE = 1_000_000
HEAD = b"GET /page HTTP/1.1\r\nHost: broker\r\n"
BODY = b"POST /page HTTP/1.1\r\nHost: broker\r\nContent-Length: %d\r\n\r\n" % _LARGE


@dataclass
class Application:
    """Answers with a page, or waits at ``/wait`` until it may go on; keeps what was asked, and how many at once.

    ``/brief`` waits for a moment, and ``/first`` lets the test do something meanwhile.
    """

    page: bytes = b"page"
    go_on: threading.Event = field(default_factory=threading.Event)
    meanwhile: Callable[[], object] = int
    asked: list[str] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    at_once: int = 0
    most: int = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = environ["PATH_INFO"]
        self.asked.append(path)
        self.threads.add(threading.get_ident())
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        if path == "/wait":
            assert self.go_on.wait(_PATIENCE)
        if path == "/brief":
            time.sleep(0.002)
        if path == "/first":
            self.meanwhile()
        if path == "/fault":
            self.at_once -= 1
            raise ValueError("of 1403044004")
        start_response("200 OK", [("Content-Length", str(len(self.page)))])
        self.at_once -= 1
        return [self.page]


@dataclass
class Running:
    """A worker that serves, and where."""

    worker: BufferingWorker
    application: Application
    port: int

    def connect(self, octets: bytes = b"") -> socket.socket:
        """Open a connection and send something; what is given up before all of it was sent shows when it is read."""
        wire = socket.create_connection(("127.0.0.1", self.port), _PATIENCE)
        with suppress(ConnectionError):
            wire.sendall(octets)
        return wire

    def ask(self, path: str = "/page") -> bytes:
        """Ask by a connection of its own and give the whole answer."""
        with self.connect(asking(path)) as wire:
            return everything(wire)

    def sleeps(self) -> bool:
        """Say whether its loop sleeps for half a second: it turns once a second then, and else all the time."""
        turns: list[int] = []
        turn = self.worker._turn

        def counted() -> bool:
            turns.append(threading.get_ident())
            return turn()

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self.worker, "_turn", counted)
            time.sleep(0.5)
        return len(turns) < 20

    def end(self) -> None:
        """Tell it to end, as gunicorn does by a signal."""
        self.worker.alive = False
        os.write(self.worker.PIPE[1], b".")


def asking(path: str, *, keep: bool = False) -> bytes:
    """Write a request."""
    ending = "keep-alive" if keep else "close"
    return f"GET {path} HTTP/1.1\r\nHost: broker\r\nConnection: {ending}\r\n\r\n".encode()


def everything(wire: socket.socket) -> bytes:
    """Read until the other side ends."""
    found = b""
    while part := wire.recv(100_000):
        found += part
    return found


def given_up(wire: socket.socket) -> bool:
    """Say whether the other side has closed, once it does; False where it sends."""
    try:
        return wire.recv(1) == b""
    except ConnectionResetError:
        return True


def until(true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def serving(
    threads: int = 2, connections: int = 100, idle: int = 60, beside: Running | None = None
) -> Iterator[Running]:
    """Run a worker in a thread of this process until the block ends; a connection may be idle for so many seconds.

    ``beside`` another it listens at the same port.
    """
    settings = Settings()
    options = {"threads": threads, "worker_connections": connections, "graceful_timeout": 60, "keepalive": idle}
    for name, value in options.items():
        settings.set(name, value)
    log = Terse(settings)
    listener = TCPSocket(("127.0.0.1", 0), settings, log)
    if beside is not None:
        (shared,) = beside.worker.sockets
        listener.sock.close()
        listener.sock = shared.sock.dup()
    worker = BufferingWorker(0, os.getppid(), [listener], None, 60, settings, log)
    worker.wsgi = application = Application()
    worker.PIPE = os.pipe()
    running = Running(worker, application, listener.getsockname()[1])
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield running
    finally:
        application.go_on.set()
        running.end()
        thread.join(_PATIENCE)
        assert not thread.is_alive()
        worker.tmp.close()
        listener.close()  # which a worker that ends by a fault leaves to the end of its process


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody run out of time because the machine is busy; a test of what runs out says when."""
    monkeypatch.setattr(buffering_worker, "_ENDING", _PATIENCE)
    monkeypatch.setattr(buffering_worker, "_LINGERING", _PATIENCE)


@pytest.mark.parametrize("begun", [b"", HEAD + b"X-Slow: ", BODY + b"x"])
def test_whoever_does_not_end_costs_no_thread(begun: bytes) -> None:
    """Fifty that say nothing, or half a head, or half a body, while another is answered by the only thread."""
    with serving(threads=1) as running, ExitStack() as held:
        for _ in range(50):
            held.enter_context(running.connect(begun))
        assert running.ask().endswith(b"page")
        assert running.application.asked == ["/page"]


def test_whoever_does_not_take_their_answer_costs_no_thread() -> None:
    """Twenty that ask for a large page and read nothing of it, while another is answered by the only thread."""
    with serving(threads=1) as running, ExitStack() as held:
        running.application.page = b"x" * 8_000_000
        for _ in range(20):
            held.enter_context(running.connect(asking("/page")))
        until(lambda: len(running.application.asked) == 20)
        running.application.page = b"page"
        assert running.ask().endswith(b"page")


def test_of_too_many_those_go_that_came_first() -> None:
    """A hundred and twenty that never end, where fifty may be open: who comes is answered, the first are closed."""
    with serving(connections=50) as running, ExitStack() as held:
        wires = [held.enter_context(running.connect(HEAD)) for _ in range(120)]
        assert running.ask().endswith(b"page")
        assert given_up(wires[0])
        wires[-1].sendall(b"Connection: close\r\n\r\n")
        assert everything(wires[-1]).endswith(b"page")


def test_what_has_not_become_whole_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all that lies half is too much, the largest goes, and not who sends little."""
    monkeypatch.setattr(buffering_worker, "_HELD", 2_000_000)
    with serving() as running, running.connect(BODY.replace(b"1000000", b"9")) as small, ExitStack() as held:
        large = [held.enter_context(running.connect(BODY + b"x" * (_LARGE - 1))) for _ in range(3)]
        (gone, *_), _, _ = select.select([*large, small], [], [], _PATIENCE)
        assert gone in large
        assert given_up(gone)
        assert sum(connection.held for connection in running.worker._open.values()) <= 2_000_000
        small.sendall(b"Connection")
        assert small.recv(100).startswith(b"HTTP/1.1 200")


def test_while_every_thread_is_taken_who_comes_waits_in_the_kernel() -> None:
    """For whichever worker is free first; the loop sleeps, and nobody who comes is lost."""
    with serving(threads=1) as running, ExitStack() as held:
        wires = [held.enter_context(running.connect(asking("/wait")))]
        until(lambda: running.application.asked == ["/wait"])
        wires += [held.enter_context(running.connect(asking("/page"))) for _ in range(30)]
        assert running.sleeps()
        assert len(running.worker._open) == 1
        running.application.go_on.set()
        assert all(everything(wire).endswith(b"page") for wire in wires)


def test_who_comes_is_answered_by_the_worker_that_is_free() -> None:
    """Not by one whose threads wait for the library system, nor by one that has requests to answer first."""
    with serving(threads=1) as one, serving(threads=1, beside=one) as other, ExitStack() as held:
        waiting = [held.enter_context(one.connect(asking("/wait")))]
        # Before its request is here, whoever took the first may take the second too.
        until(lambda: one.application.asked + other.application.asked == ["/wait"])
        waiting.append(held.enter_context(one.connect(asking("/wait"))))
        until(lambda: one.application.asked == other.application.asked == ["/wait"])
        other.application.go_on.set()
        for _ in range(20):
            assert one.ask().endswith(b"page")
        assert one.application.asked == ["/wait"]
        one.application.go_on.set()
        assert all(everything(wire).endswith(b"page") for wire in waiting)


def test_where_others_wait_an_answer_is_the_last_of_its_connection() -> None:
    """The next request of a client that keeps its connection stands in the queue of all; alone, it keeps it."""
    with serving(threads=1) as running, ExitStack() as held:
        first = held.enter_context(running.connect(asking("/wait", keep=True)))
        until(lambda: running.application.asked == ["/wait"])
        before_another = held.enter_context(running.connect(asking("/page", keep=True)))
        last = held.enter_context(running.connect(asking("/page", keep=True)))
        running.application.go_on.set()
        assert b"Connection: keep-alive" in first.recv(1000)
        assert b"Connection: close" in everything(before_another)
        assert b"Connection: keep-alive" in last.recv(1000)


def test_a_worker_with_requests_to_answer_accepts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of three kept connections that ask at once is answered first: the others wait for it, and are its last."""
    monkeypatch.setattr(buffering_worker, "_QUICK", _PATIENCE)
    with serving(threads=4) as running, ExitStack() as held:
        application = running.application
        kept = []
        for _ in range(3):
            kept.append(held.enter_context(running.connect(asking("/page", keep=True))))
            assert kept[-1].recv(1000).endswith(b"page")
        comes: list[socket.socket] = []
        open_then: list[int] = []

        def ask_more() -> None:
            turn = len(open_then)
            open_then.append(len(running.worker._open))
            if turn == 0:
                kept[1].sendall(asking("/first", keep=True))
                kept[2].sendall(asking("/first", keep=True))
            if turn == 1:
                comes.append(held.enter_context(running.connect(asking("/comes"))))

        application.meanwhile = ask_more
        kept[0].sendall(asking("/first", keep=True))
        assert b"Connection: keep-alive" in kept[0].recv(1000)
        assert all(b"Connection: close" in everything(wire) for wire in kept[1:])
        assert open_then == [3, 3, 3]
        assert everything(comes[0]).endswith(b"page")


@pytest.mark.parametrize("first", ["what is kept", "who comes"])
def test_of_one_turn_what_becomes_whole_goes_before_who_comes(monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """Whichever the kernel tells first: a worker that took both would let one wait beside another that is free."""
    monkeypatch.setattr(buffering_worker, "_QUICK", _PATIENCE)
    with serving(threads=1) as running, ExitStack() as held:
        wires = []
        for _ in range(2):
            wires.append(held.enter_context(running.connect(asking("/page", keep=True))))
            assert wires[-1].recv(1000).endswith(b"page")
        kept, begun = wires
        open_then: list[int] = []
        comes: list[socket.socket] = []

        def come() -> None:
            comes.append(held.enter_context(running.connect(asking("/comes"))))

        def at_once() -> None:
            open_then.append(len(running.worker._open))
            if len(open_then) == 2:
                return
            if first == "who comes":
                come()
            begun.sendall(asking("/first"))
            if first == "what is kept":
                come()

        running.application.meanwhile = at_once
        kept.sendall(asking("/first", keep=True))
        assert everything(begun).endswith(b"page")
        assert everything(comes[0]).endswith(b"page")
        assert open_then == [2, 2]


def test_a_kept_connection_goes_before_who_comes() -> None:
    """Its request is here already; who comes may be for another worker."""
    with serving(threads=1) as running, ExitStack() as held:
        kept = held.enter_context(running.connect(asking("/page", keep=True)))
        assert kept.recv(1000).endswith(b"page")
        waits = held.enter_context(running.connect(asking("/wait")))
        until(lambda: running.application.asked == ["/page", "/wait"])
        kept.sendall(asking("/kept", keep=True))
        until(lambda: len(running.worker._whole) == 1)
        comes = held.enter_context(running.connect(asking("/comes")))
        running.application.go_on.set()
        assert b"Connection: close" in everything(kept)
        assert everything(comes).endswith(b"page")
        assert everything(waits).endswith(b"page")
        assert running.application.asked[2:] == ["/kept", "/comes"]


def test_as_many_as_may_be_open_are_kept() -> None:
    """The last that there is room for costs nobody else a connection."""
    with serving(connections=5) as running, ExitStack() as held:
        wires = [held.enter_context(running.connect(HEAD)) for _ in range(5)]
        until(lambda: len(running.worker._open) == 5)
        for wire in wires:
            wire.sendall(b"Connection: close\r\n\r\n")
            assert everything(wire).endswith(b"page")


def test_what_waits_for_a_thread_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole requests of a megabyte while every thread waits: the largest goes, who sends little is answered."""
    monkeypatch.setattr(buffering_worker, "_HELD", 2_000_000)
    with serving(threads=1) as running, ExitStack() as held:
        large = [held.enter_context(running.connect(BODY + b"x")) for _ in range(3)]
        small = held.enter_context(running.connect(HEAD))
        until(lambda: len(running.worker._open) == 4)
        waits = held.enter_context(running.connect(asking("/wait")))
        until(lambda: running.application.asked == ["/wait"])
        small.sendall(b"Connection: close\r\n\r\n")
        until(lambda: len(running.worker._whole) == 1)
        for wire in large:
            with suppress(ConnectionError):
                wire.sendall(b"x" * (_LARGE - 1))
        (gone, *_), _, _ = select.select([*large, small], [], [], _PATIENCE)
        assert gone in large
        assert given_up(gone)
        running.application.go_on.set()
        assert everything(waits).endswith(b"page")
        assert everything(small).endswith(b"page")
        assert sum(wire.recv(100).startswith(b"HTTP/1.1 200") for wire in large if wire is not gone) == 2


def test_no_more_descriptors_end_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process may open no more, who came first goes, and it serves on."""
    with serving() as running, running.connect(HEAD) as first:
        until(lambda: len(running.worker._open) == 1)
        refused = [True]
        (listener,) = running.worker.sockets
        accept = listener.sock.accept

        class Full:
            def accept(self) -> object:
                if refused:
                    refused.clear()
                    raise OSError(24, "Too many open files")
                return accept()

            def __getattr__(self, name: str) -> object:
                return getattr(kept, name)

        kept = listener.sock
        monkeypatch.setattr(listener, "sock", Full())
        assert running.ask().endswith(b"page")
        assert given_up(first)


@pytest.mark.parametrize(("sent", "constant"), [
    (b"", "_ARRIVING"), (HEAD, "_ARRIVING"), (asking("/page", keep=True) + HEAD, "_ARRIVING"),
])  # fmt: skip
def test_a_request_that_does_not_become_whole_runs_out(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, constant: str
) -> None:
    """By one moment for all of it: a letter now and then does not put it off."""
    monkeypatch.setattr(buffering_worker, constant, 0.5)
    monkeypatch.setattr(buffering_worker, "_TURN", 0.1)
    with serving() as running, running.connect(sent) as wire:
        wire.settimeout(0.1)
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                wire.sendall(b"x")
                if not wire.recv(1000):
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("it was never given up")


def test_a_request_that_waits_holds_up_no_other() -> None:
    """The library system does not answer one person; the other thread answers everybody else."""
    with serving(threads=2) as running, running.connect(asking("/wait")) as wire:
        until(lambda: "/wait" in running.application.asked)
        for _ in range(5):
            assert running.ask().endswith(b"page")
        running.application.go_on.set()
        assert everything(wire).endswith(b"page")


def test_whoever_comes_while_every_thread_waits_is_answered_after() -> None:
    """Nothing is lost, and nobody is refused."""
    with serving(threads=2) as running, ExitStack() as held:
        waiting = [held.enter_context(running.connect(asking("/wait"))) for _ in range(2)]
        until(lambda: running.application.asked == ["/wait"] * 2)
        after = [held.enter_context(running.connect(asking("/page"))) for _ in range(5)]
        running.application.go_on.set()
        assert all(everything(wire).endswith(b"page") for wire in [*waiting, *after])


def test_quick_requests_run_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that want to run at once are slower than one: the second begins when the first takes long."""
    monkeypatch.setattr(buffering_worker, "_QUICK", _PATIENCE)
    with serving(threads=4) as running, ExitStack() as held:
        wires = [held.enter_context(running.connect(asking("/brief"))) for _ in range(50)]
        assert all(everything(wire).endswith(b"page") for wire in wires)
        assert running.application.most == 1
        assert len(running.application.threads) == 1


def test_threads_that_look_at_once_who_waits_all_hear_it() -> None:
    """Two that were held up between a request and its answer look at one moment: neither answer is an error."""
    with serving() as running, ThreadPoolExecutor(4) as threads:
        assert running.ask().endswith(b"page")
        looks = [threads.submit(lambda: [running.worker._others_wait() for _ in range(5_000)]) for _ in range(4)]
        assert all(look.result() == [False] * 5_000 for look in looks)


def test_a_client_that_sends_on_while_it_waits_is_read_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next request lies in the kernel until the first is answered: nobody mixes them, and the loop sleeps."""
    monkeypatch.setattr(buffering_worker, "_QUICK", 0.001)
    with serving(threads=2) as running, running.connect(asking("/wait", keep=True)) as wire:
        until(lambda: running.application.asked == ["/wait"])
        assert running.ask().endswith(b"page")
        wire.sendall(asking("/page"))
        assert running.sleeps()
        assert running.application.asked == ["/wait", "/page"]
        running.application.go_on.set()
        assert everything(wire).count(b"HTTP/1.1 200") == 2


def test_a_client_that_sends_on_while_it_waits_for_a_thread_is_read_after() -> None:
    """It is in the queue once: what follows its request lies in the kernel, and the loop sleeps."""
    with serving(threads=1) as running, ExitStack() as held:
        wire = held.enter_context(running.connect(HEAD))
        until(lambda: len(running.worker._open) == 1)
        held.enter_context(running.connect(asking("/wait")))
        until(lambda: running.application.asked == ["/wait"])
        wire.sendall(b"\r\n")
        until(lambda: len(running.worker._whole) == 1)
        wire.sendall(asking("/page"))
        assert running.sleeps()
        assert len(running.worker._whole) == 1
        running.application.go_on.set()
        assert everything(wire).count(b"HTTP/1.1 200") == 2


def test_an_answer_that_took_long_waits_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent by its own thread, while the one at the loop answers somebody else."""
    monkeypatch.setattr(buffering_worker, "_QUICK", 0.001)
    with serving(threads=2) as running, ExitStack() as held:
        application = running.application
        slow = held.enter_context(running.connect(asking("/wait", keep=True)))
        until(lambda: application.asked == ["/wait"] and not running.worker._lead._under_way)
        running.worker._lead._quick = _PATIENCE
        over = threading.Event()
        held.callback(over.set)
        application.meanwhile = lambda: over.wait(_PATIENCE)
        held.enter_context(running.connect(asking("/first")))
        until(lambda: application.asked == ["/wait", "/first"])
        application.go_on.set()
        assert slow.recv(1000).endswith(b"page")
        assert application.at_once == 1


def test_whoever_waits_in_the_kernel_when_a_worker_ends_is_answered() -> None:
    """It may be the last that listens: the kernel's queue goes with it, and a person in mid-login would be reset."""
    with serving(threads=1, connections=20) as running, ExitStack() as held:
        wires = [held.enter_context(running.connect(asking("/wait")))]
        until(lambda: running.application.asked == ["/wait"])
        wires += [held.enter_context(running.connect(asking("/page", keep=True))) for _ in range(10)]
        running.end()
        until(lambda: running.worker._ends is not None)
        running.application.go_on.set()
        assert all(everything(wire).endswith(b"page") for wire in wires)


def test_a_worker_that_ends_accepts_no_more_than_may_be_open() -> None:
    """Nobody whom it has goes for one that comes at its end."""
    with serving(threads=1, connections=5) as running, ExitStack() as held:
        wires = [held.enter_context(running.connect(asking("/wait")))]
        until(lambda: running.application.asked == ["/wait"])
        wires += [held.enter_context(running.connect(asking("/page"))) for _ in range(10)]
        running.end()
        assert all(given_up(wire) for wire in wires[5:])
        running.application.go_on.set()
        assert all(everything(wire).endswith(b"page") for wire in wires[:5])


def test_it_ends_when_the_process_is_gone_that_watches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that nobody would replace or tell to end must not hold the port."""
    monkeypatch.setattr(buffering_worker, "_TURN", 0.1)
    with serving() as running:
        running.worker.ppid = -1
        until(lambda: running.worker._over)


def test_a_fault_of_the_loop_ends_the_worker(capfd: pytest.CaptureFixture[str]) -> None:
    """Another takes its place; a worker whose loop is dead, and which lives on, would answer nobody."""
    with serving() as running:

        def fault() -> None:
            raise ValueError("of 1403044004")

        running.worker.notify = fault
        until(lambda: running.worker._over)
    assert "1403044004" not in "".join(capfd.readouterr())


def test_an_idle_connection_and_one_that_takes_nothing_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first after the seconds of ``keepalive``, the second when it has had time for an answer."""
    monkeypatch.setattr(buffering_worker, "_TURN", 0.1)
    monkeypatch.setattr(buffering_worker, "_TAKING", 0.2)
    with serving(idle=1) as running, running.connect(asking("/page", keep=True)) as idle:
        assert idle.recv(1000).endswith(b"page")
        running.application.page = b"x" * 8_000_000
        with running.connect(asking("/page", keep=True)) as taking:
            until(lambda: len(running.application.asked) == 2)
            until(lambda: all(connection.sent for connection in list(running.worker._open.values())))
            assert len(taking.recv(100)) == 100
        assert given_up(idle)


def test_whoever_has_their_last_answer_and_does_not_go_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they still send is read for a moment, and never answered; then their connection is for others."""
    monkeypatch.setattr(buffering_worker, "_TURN", 0.1)
    monkeypatch.setattr(buffering_worker, "_LINGERING", 0.2)
    with serving() as running, running.connect(asking("/page")) as wire:
        assert everything(wire).endswith(b"page")
        until(lambda: not running.worker._open)
        assert running.application.asked == ["/page"]


def test_a_client_with_many_requests_in_one_packet_is_answered_to_the_last() -> None:
    """Where nobody else waits: in their order, and its connection ends as it asked."""
    many = asking("/many", keep=True) * 200
    with serving(threads=1) as running, running.connect(many) as wire:
        wire.shutdown(socket.SHUT_WR)
        assert everything(wire).count(b"HTTP/1.1 200") == 200


def test_a_client_with_many_requests_in_one_packet_keeps_nobody_waiting() -> None:
    """Whoever comes while it is answered is answered next; what it asks beyond that it asks again, as it must.

    Source: RFC 9112, section 9.3.2.
    """
    many = asking("/first", keep=True) + asking("/many", keep=True) * 200
    with serving(threads=1) as running, ExitStack() as held:
        others: list[socket.socket] = []
        running.application.meanwhile = lambda: others.append(running.connect(asking("/other")))
        wire = held.enter_context(running.connect(many))
        wire.shutdown(socket.SHUT_WR)
        assert 1 <= everything(wire).count(b"HTTP/1.1 200") <= 2
        assert everything(held.enter_context(others[0])).endswith(b"page")
        assert running.application.asked.index("/other") <= 2


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the path and the body of the request."""
    page = b"<%s %s>" % (environ["PATH_INFO"].encode(), environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]


def stream(chance: random.Random, name: int) -> tuple[bytes, list[bytes]]:
    """Write some requests in a row, the last of which ends the connection, and the answers that are due."""
    octets, due = b"", []
    for turn in range(chance.randrange(4)):
        body = chance.randbytes(chance.choice([0, 5, 500])).hex().encode()
        octets += b"POST /%d-%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (name, turn, len(body)) + body
        due.append(b"/%d-%d %s" % (name, turn, body))
    kind = chance.choice(["ends", "is no request", "is cut"])
    if kind == "is cut":
        return octets + b"GET /cut HTTP/1.1\r\nHo", due
    if kind == "ends":
        octets += b"GET /%d-last HTTP/1.1\r\nConnection: close\r\n\r\n" % name
        due.append(b"/%d-last " % name)
    else:
        length = chance.choice([b"Content-Length: 1\r\nContent-Length: 2", b"Transfer-Encoding: chunked", b"X"])
        octets += b"POST /refused HTTP/1.1\r\n" + length + b"\r\n\r\n"
    return octets + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", due


@pytest.mark.parametrize("alone", [True, False])
def test_every_answer_reaches_the_connection_that_asked(*, alone: bool) -> None:
    """Forty connections at a time, their octets in random pieces and turns, some dropped: no answer is another's.

    Nothing is answered that follows a last or a refused request; descriptors come round all the time. Where others
    wait a connection may end sooner; what had been asked by it then is not answered.
    """
    chance = random.Random(12)
    with serving(threads=4, connections=200) as running, pytest.MonkeyPatch.context() as patched:
        running.worker.wsgi = echo
        if alone:
            patched.setattr(running.worker, "_others_wait", lambda: False)
        for crowd in range(10):
            with ExitStack() as held:
                streams = [stream(chance, 40 * crowd + each) for each in range(40)]
                wires = [held.enter_context(running.connect()) for _ in streams]
                left = dict(enumerate(octets for octets, _ in streams))
                dropped = set(chance.sample(range(40), 8))
                while left:
                    each = chance.choice(list(left))
                    size = chance.choice([1, 20, 400, 5000])
                    with suppress(ConnectionError):
                        wires[each].sendall(left[each][:size])
                    left[each] = left[each][size:]
                    if not left[each] or (each in dropped and chance.random() < 0.2):
                        with suppress(OSError):
                            wires[each].shutdown(socket.SHUT_WR)
                        if each in dropped:
                            wires[each].close()
                        del left[each]
                for each in set(range(40)) - dropped:
                    answers, due = re.findall(rb"<(.*?)>", everything(wires[each])), streams[each][1]
                    assert answers == due[: len(answers)]
                    assert len(answers) == len(due) or (answers and not alone)


@pytest.mark.parametrize("path", ["/page", "/wait"])
def test_a_client_that_goes_away_ends_nothing(path: str) -> None:
    """By a reset, in the middle of a request or of its answer: the next is answered."""
    with serving(threads=2) as running:
        running.application.page = b"x" * 8_000_000
        for octets in (HEAD, BODY, asking(path), asking(path, keep=True) * 3):
            wire = running.connect(octets)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.close()
        running.application.go_on.set()
        running.application.page = b"page"
        assert running.ask().endswith(b"page")
        until(lambda: not running.worker._open)


@pytest.mark.parametrize(("octets", "status"), [
    (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400 Bad Request"),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"411 Length Required"),
    (HEAD + b"Content-Length: 20000000\r\n\r\n", b"200 OK"),
])  # fmt: skip
def test_a_refusal_reaches_a_client_that_still_sends(octets: bytes, status: bytes) -> None:
    """Closed at once, the megabytes on their way would be answered by a reset, and the refusal be lost.

    Source: RFC 9112, section 9.6.
    """
    with serving() as running, running.connect(octets) as wire:
        for _ in range(20):
            wire.sendall(b"x" * _LARGE)
        wire.shutdown(socket.SHUT_WR)
        assert everything(wire).startswith(b"HTTP/1.1 " + status)


def test_a_fault_is_told_by_its_type_and_the_thread_serves_on(capfd: pytest.CaptureFixture[str]) -> None:
    """What no endpoint has caught is 500 and one line without what the error says."""
    with serving(threads=1) as running:
        assert running.ask("/fault").startswith(b"HTTP/1.1 500 ")
        assert running.ask().endswith(b"page")
    told = "".join(capfd.readouterr())
    assert "ValueError" in told
    assert "1403044004" not in told


def test_a_log_that_cannot_be_written_costs_no_thread(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The disk of the log is full: the fault is answered, nothing of it is quoted, the only thread serves on."""

    class Full:
        def write(self, _: str) -> None:
            raise OSError(28, "No space left on device")

        flush = write

    with serving(threads=1) as running:
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", Full())
            assert running.ask("/fault").startswith(b"HTTP/1.1 500 ")
        assert running.ask().endswith(b"page")
    assert "1403044004" not in "".join(capfd.readouterr())


def test_strangers_fill_no_log(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """However many send what is no request, the log has a line a second, with their number and nothing they sent."""
    monkeypatch.setattr(buffering_worker, "_TURN", 0.5)
    lines: list[str] = []

    def told() -> int:
        lines.extend(line for line in capfd.readouterr().err.splitlines() if "Invalid requests" in line)
        return sum(int(line.rpartition(" ")[2]) for line in lines)

    began = time.monotonic()
    with serving() as running:
        for _ in range(200):
            with running.connect(b"GET /1403044004\r\n\r\n") as wire:
                assert everything(wire).startswith(b"HTTP/1.1 400 ")
        until(lambda: told() == 200)
    assert len(lines) <= 1 + (time.monotonic() - began) / 0.5
    assert "1403044004" not in "".join(lines)


def test_at_its_end_it_finishes_what_has_begun() -> None:
    """A request in a thread, one that is half here, and one that comes by an open connection; each ends that."""
    with serving(threads=2) as running, ExitStack() as held:
        idle = held.enter_context(running.connect(asking("/page", keep=True)))
        assert b"keep-alive" in idle.recv(1000)
        waiting = held.enter_context(running.connect(asking("/wait")))
        half = held.enter_context(running.connect(BODY.replace(b"1000000", b"2") + b"x"))
        until(lambda: len(running.worker._open) == 3 and "/wait" in running.application.asked)
        running.end()
        until(lambda: not running.worker.sockets[0].sock)
        idle.sendall(asking("/page", keep=True))
        half.sendall(b"x")
        assert b"Connection: close" in everything(idle)
        assert b"Connection: close" in everything(half)
        running.application.go_on.set()
        assert everything(waiting).endswith(b"page")


def test_its_end_waits_for_nobody_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request has a moment, and so has an idle connection; a request that a thread has is finished."""
    monkeypatch.setattr(buffering_worker, "_ENDING", 0.2)
    monkeypatch.setattr(buffering_worker, "_LINGERING", 0.1)
    monkeypatch.setattr(buffering_worker, "_TURN", 0.1)
    monkeypatch.setattr(buffering_worker, "_ARRIVING", _NEVER)  # by that alone both would go too
    with serving() as running, running.connect(HEAD) as half, running.connect() as silent, ExitStack() as held:
        waiting = held.enter_context(running.connect(asking("/wait")))
        until(lambda: len(running.worker._open) == 3 and running.application.asked == ["/wait"])
        running.end()
        assert given_up(half)
        assert given_up(silent)
        running.application.go_on.set()
        assert everything(waiting).endswith(b"page")


def test_at_its_end_who_is_idle_goes_before_half_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one has begun nothing that could be lost; the other may send the rest, and is answered."""
    monkeypatch.setattr(buffering_worker, "_LINGERING", 0.1)
    monkeypatch.setattr(buffering_worker, "_TURN", 0.1)
    monkeypatch.setattr(buffering_worker, "_ARRIVING", _NEVER)
    with serving() as running, running.connect(HEAD) as half, running.connect() as silent:
        until(lambda: len(running.worker._open) == 2)
        running.end()
        assert given_up(silent)
        half.sendall(b"\r\n")
        assert everything(half).endswith(b"page")
