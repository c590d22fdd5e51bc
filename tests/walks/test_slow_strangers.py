"""People log in at the broker itself, with no proxy in front, while strangers send slowly or never end.

Source: docs/reference/design.md#4e.
"""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Final

import pytest

from broker.demo.check import persona_walk
from broker.demo.check.http_browser import Browser
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import Ports, write
from broker.demo.run.running_demo import Running, running
from tests.plugins.demo import free_base

pytestmark = pytest.mark.server

_MANY: Final = 200
_MORE_THAN_MAY_BE_OPEN: Final = 1500  # two workers keep 512 each
_HEAD: Final = b"GET / HTTP/1.1\r\nHost: broker\r\nX-Slow: "
_BODY: Final = (
    b"POST /saml/sp/wayf/acs HTTP/1.1\r\nHost: broker\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 100000\r\n\r\nSAMLResponse="
)
_PAGES: Final = b"GET /sign-up HTTP/1.1\r\nHost: broker\r\n\r\n" * 500


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a demo of its own, whose two workers have two threads each."""
    setting = write(tmp_path_factory.mktemp("direct") / "demo", Ports(free_base()), datetime.now(UTC))
    text = setting.config.read_text(encoding="utf-8")
    setting.config.write_text(text.replace("threads = 8", "threads = 2"), encoding="utf-8")
    with running(setting) as demo:
        yield demo


def stranger(demo: Running, octets: bytes) -> socket.socket:
    """Open a connection that takes as little as it can, and send as much as goes at once."""
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    wire.connect(("127.0.0.1", demo.setting.ports.number("broker")))
    wire.setblocking(False)  # noqa: FBT003
    if octets:
        wire.send(octets)
    return wire


def log_in(demo: Running, name: str) -> str | None:
    """Log a persona in, and give the step that the walk ended with."""
    browser = Browser()
    persona_walk.walk(browser, demo.setting.ports.origin("library"), persona(name), demo=demo)
    return browser.mark()[0]


@pytest.mark.parametrize("octets", [b"", _HEAD, _BODY, _PAGES], ids=["silent", "head", "body", "takes nothing"])
def test_two_hundred_half_open_connections_hold_up_nobody(direct: Running, octets: bytes) -> None:
    """Forty of them silenced everything until they let go, when each had a thread."""
    with ExitStack() as held:
        for _ in range(_MANY):
            held.enter_context(stranger(direct, octets))
        for name in ("asta", "rosa"):
            assert log_in(direct, name) in {None, "done"}


def test_more_than_may_be_open_hold_up_nobody(direct: Running) -> None:
    """Whoever comes takes the place of a stranger who has been there for longer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(_MORE_THAN_MAY_BE_OPEN):
            held.enter_context(stranger(direct, _BODY))
        assert log_in(direct, "asta") in {None, "done"}


def test_a_letter_now_and_then_holds_up_nobody(direct: Running) -> None:
    """The same for those who go on sending, as slowly as they can."""
    ended = Event()
    with ExitStack() as held:
        wires = [held.enter_context(stranger(direct, _BODY)) for _ in range(_MANY)]

        def dribble() -> None:
            while not ended.wait(0.2):
                for wire in wires:
                    with suppress(OSError):  # one that was given up: a login may take long here
                        wire.send(b"x")

        thread = Thread(target=dribble)
        thread.start()
        held.callback(thread.join)
        held.callback(ended.set)
        time.sleep(1)
        assert log_in(direct, "rosa") in {None, "done"}
