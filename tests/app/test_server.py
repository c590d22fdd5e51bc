"""``broker serve`` with a real gunicorn: reloads, killed workers, shutdown, files, bad requests."""

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from broker.demo.run.demo_folder import Setting
from tests.plugins.ports import free_port
from tests.plugins.programs import list_children, run_program, wait_until

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.server

CPR = "1403044004"


@dataclass(slots=True)
class Server:
    """A running broker and its folder."""

    folder: Path
    port: int
    running: "subprocess.Popen[bytes]"
    begun: int = 0  # how much of its log is from before

    def get(self, path: str) -> tuple[int, str]:
        """Ask it."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def answers(self) -> bool:
        """Say whether it is ready."""
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def notes(self) -> dict[str, str]:
        """Give what readiness says."""
        found: dict[str, str] = json.loads(self.get("/readyz")[1])
        return found

    def workers(self) -> frozenset[int]:
        """Give the web workers of the moment."""
        return list_children(self.running.pid)

    def log(self) -> str:
        """Give what it has written so far."""
        return self.log_file.read_text()[self.begun :]

    @property
    def log_file(self) -> Path:
        """Give the file that it writes its log to."""
        return self.folder.parent / "log"

    @contextmanager
    def edit_for_now(self, name: str, old: str, new: str) -> Iterator[None]:
        """Change a file of its folder while the block runs."""
        path = self.folder / name
        before = path.read_bytes()
        self.edit(name, old, new)
        try:
            yield
        finally:
            path.write_bytes(before)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file of its folder."""
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


def list_events(server: Server, event: str) -> list[dict[str, Any]]:
    """Give the lines of an event in its log, those that have been written to their end."""
    whole, _, _ = server.log().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if f'"event": "{event}"' in line]


def wait_for_refusal(server: Server, fault: str) -> None:
    """Wait until the log says that a reload was refused for a fault."""
    wait_until(lambda: [each for each in list_events(server, "reload_refused") if fault in each["fault"]])


@contextmanager
def serving(setting: Setting, home: Path, ready: Callable[[Server], bool]) -> Iterator[Server]:
    """Serve a copy of a folder with two workers and empty home, runtime and temporary folders."""
    folder, port = home / "demo", free_port()
    shutil.copytree(setting.folder, folder)
    for name in ("home", "run", "temporary"):
        (home / name).mkdir()
    named = {"HOME": "home", "XDG_RUNTIME_DIR": "run", "TMPDIR": "temporary"}
    environ = {name: str(home / value) for name, value in named.items()}
    environ |= {"BROKER_CONFIG": str(folder / "broker.toml"), "BROKER_SERVE__BIND": f"127.0.0.1:{port}"}
    command = [sys.executable, "-m", "broker.cli.main", "serve"]
    with (home / "log").open("wb") as log, run_program(command, environ, stdout=log, stderr=log) as running:
        found = Server(folder, port, running)
        wait_until(lambda: ready(found))
        yield found


def both(server: Server) -> bool:
    """Say whether it is ready, with two workers."""
    return server.answers() and len(server.workers()) == 2


@pytest.fixture
def server(setting: Setting, tmp_path: Path) -> Iterator[Server]:
    """Give a broker of the test's own."""
    with serving(setting, tmp_path, both) as found:
        yield found


@pytest.fixture(scope="module")
def lasting(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a broker for the tests that leave it as it was."""
    with serving(setting, tmp_path_factory.mktemp("lasting"), both) as found:
        yield found


@pytest.fixture
def unchanged_server(lasting: Server) -> Server:
    """Give that broker with two workers, and nothing written to its log yet."""
    wait_until(lambda: both(lasting))
    lasting.begun = len(lasting.log_file.read_text())
    return lasting


def test_hup_brings_a_new_configuration_and_sigterm_ends_it_in_order(server: Server) -> None:
    """New workers apply the change. On SIGTERM a request in progress is answered.

    Exit code 0, no traceback, no worker left.
    """
    before = server.workers()
    server.edit("broker.toml", "[contact]", '[idp]\ndisplay_name = {en = "Renamed", da = "Omdøbt"}\n\n[contact]')
    server.edit("broker.toml", "workers = 2", "workers = 3")
    server.running.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.workers()) == 3 and not before & server.workers())
    assert "Renamed" in server.get("/saml/idp/metadata")[1]
    wait_until(lambda: '"event": "reloaded"' in server.log())
    workers = server.workers()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as wire:
        wire.sendall(
            b"POST /saml/idp/sso HTTP/1.1\r\nHost: broker\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n"
        )
        assert wire.recv(100).startswith(b"HTTP/1.1 100")  # it is being answered now
        server.running.terminate()
        time.sleep(0.5)
        wire.sendall(b"SAMLRequest=x")
        assert b" 400 " in wire.recv(1000).splitlines()[0]
    assert server.running.wait(60) == 0
    assert "Traceback" not in server.log()
    wait_until(lambda: not any(Path(f"/proc/{each}").exists() for each in workers))


FAULTS = [
    ("broker.toml", "workers = 2", "wrokers = 2", "did you mean workers?"),
    ("broker.toml", "[library]", "[library", "is not TOML"),
    ("keys/store/current", "2", "x", "names no key of this folder"),
    ("attribute_maps/wayf.yaml", "reads:", "raeds:", "did you mean 'reads'?"),
]


def test_hup_with_a_fault_changes_nothing(unchanged_server: Server) -> None:
    """A reload that could not serve is refused, with every fault in the log: the workers that serve are kept."""
    before = unchanged_server.workers()
    for name, old, new, fault in FAULTS:
        with unchanged_server.edit_for_now(name, old, new):
            unchanged_server.running.send_signal(signal.SIGHUP)
            wait_for_refusal(unchanged_server, fault)
    assert (unchanged_server.workers(), unchanged_server.answers()) == (before, True)


def test_a_killed_worker_is_replaced(unchanged_server: Server) -> None:
    """The kernel kills who takes too much memory; the login goes on at the other worker and at a new one."""
    before = unchanged_server.workers()
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(unchanged_server.workers() - {killed}) == 2)
    assert unchanged_server.answers()
    wait_until(lambda: list_events(unchanged_server, "server"))
    (line,) = list_events(unchanged_server, "server")
    assert (line["level"], str(killed) in line["text"]) == ("error", True)


def test_no_line_quotes_a_request_that_is_no_http(unchanged_server: Server) -> None:
    """The log does not quote an address, which may hold a CPR number.

    Source: docs/reference/design.md#invariant-4.
    """
    with socket.create_connection(("127.0.0.1", unchanged_server.port), timeout=60) as wire:
        wire.sendall(f"GET /?cpr={CPR}&mail=aase@example.org\r\n\r\n".encode())
        assert b" 400 " in wire.recv(1000)
    assert unchanged_server.answers()
    assert CPR not in unchanged_server.log()
    assert "aase" not in unchanged_server.log()


HOST, GET, POST = b"Host: x\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"POST /healthz HTTP/1.1\r\nHost: x\r\n"


AMBIGUOUS = [
    (b"GET /x\0 HTTP/1.1\r\n" + HOST + b"\r\n", b"400"),
    (GET + b"X\0Y: 1\r\n\r\n", b"400"),
    (GET + b"X: 1\0\r\n\r\n", b"400"),
    (GET + b"X Y: 1\r\n\r\n", b"400"),
    (GET + b"X: 1\r\n 2\r\n\r\n", b"400"),
    (GET + HOST + b"\r\n", b"400"),
    (b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n", b"400"),
    (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", b"400"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
    (b"GET /" + b"x" * 8190 + b" HTTP/1.1\r\n" + HOST + b"\r\n", b"414"),
    (GET + b"Cookie: " + b"x" * 16_400 + b"\r\n\r\n", b"431"),
    (GET + b"".join(b"X-%d: y\r\n" % each for each in range(200)) + b"\r\n", b"431"),
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
    (POST + b"Transfer-Encoding : chunked\r\n\r\n", b"400"),
    (POST + b"Transfer-Encoding: xchunked\r\n\r\n", b"501"),
    (POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n", b"400"),
]  # fmt: skip


def test_an_ambiguous_request_is_refused(unchanged_server: Server) -> None:
    """The connection ends with it, so that nothing behind it is a request, and the log quotes nothing.

    Source: RFC 9112, sections 6.3 and 11.2.
    """
    behind = b"GET /healthz?cpr=1403044004 HTTP/1.1\r\nHost: x\r\n\r\n"
    for octets, status in AMBIGUOUS:
        answer = exchange(unchanged_server.port, octets + behind)
        assert answer.startswith(b"HTTP/1.1 " + status), octets
        assert answer.count(b"HTTP/1.1 ") == 1, octets
    assert unchanged_server.log() == ""


@pytest.mark.parametrize(
    "head", [GET, POST + b"Content-Length: 1\r\n\r\nx", POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"]
)
def test_a_connection_carries_one_request(unchanged_server: Server, head: bytes) -> None:
    """Bytes after a request are never read as another request."""
    answer = exchange(unchanged_server.port, head + b"\r\n" + GET + b"\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


def exchange(port: int, octets: bytes) -> bytes:
    """Send octets, and return all that comes back until the server closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire, suppress(ConnectionResetError):
        wire.sendall(octets)
        while part := wire.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /other", "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off"])
def test_no_header_moves_a_request_or_says_its_scheme(unchanged_server: Server, header: str) -> None:
    """From this machine too, where a proxy passes on what strangers write: only ``serve.proxies`` is believed."""
    for path, status in (("/readyz", b"200 OK"), ("/other/readyz", b"404 NOT FOUND")):
        with socket.create_connection(("127.0.0.1", unchanged_server.port), timeout=60) as wire:
            wire.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n".encode())
            assert wire.recv(1000).startswith(b"HTTP/1.1 " + status)
    assert "unexpected" not in unchanged_server.log()
