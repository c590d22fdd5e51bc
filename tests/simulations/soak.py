"""Logins at 16 at once behind nginx, beside strangers, 1,000 slow heads and two reloads: nothing is lost or grows.

``make soak`` runs ten minutes with ``deploy/nginx.conf``. It prints a row for each tenth of the time and exits with 1 on
a fault (a short run says nothing of memory: caches fill). Each login, and each message of a stranger, comes from a
random network of loopback, of so few that the workers' counts by network are full before memory is compared.
"""

import http.client
import re
import resource
import signal
import socket
import ssl
import sys
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Final

from bench import processes
from bench.browsers import HttpWire, UniversityLogin
from broker.adapters.saml.xml_security import http_bindings
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser, _Loopback
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, write
from broker.demo.run.running_demo import Running, run_demo
from broker.demo.upstreams import wayf_hub
from broker.demo.upstreams.assertion_writer import ReceivedAuthnRequest
from tests.plugins.demo import free_base
from tests.plugins.ports import free_port
from tests.walks.nginx_server import NAME, Front, PortsBehind, nginx

_AT_ONCE: Final = 16
_STRANGERS: Final = 4
_STRANGER_PAUSE: Final = 0.05
_SLOW_HEADS: Final = 1_000
_NEW_HEADS: Final = 200  # a second; nginx closes each after 15 seconds
_HEAD: Final = f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode()
_ROWS: Final = 10
_RELOADS: Final = (2, 4)  # after these rows
_CACHES_FULL: Final = 6  # from this row on the workers of the last reload must not grow
_GROWTH: Final = 1.05
_MORE_DESCRIPTORS: Final = 40  # those of requests in progress
_COLUMNS: Final = "{:>8} {:>7} {:>5} {:>6} {:>6} {:>6} {:>5} {:>9} {:>7} {:>12}"
_HONEST: Final = (1, 8)  # second octet of the addresses
_STRANGE: Final = (64, 71)


@dataclass(slots=True)
class Soak:
    """A broker behind nginx under load, and what its visitors have seen."""

    demo: Running
    front: Front
    login: UniversityLogin
    logins: int = 0
    lost: list[str] = field(default_factory=list)
    of_browsers: Counter[int] = field(default_factory=Counter)  # answers by status
    of_strangers: Counter[int] = field(default_factory=Counter)
    heads: list[ssl.SSLSocket] = field(default_factory=list)
    random: Random = field(default_factory=Random)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)
    trust: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        """Trust the certificate of nginx."""
        self.trust = ssl.create_default_context(cafile=str(self.front.certificate))

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Let browsers, strangers and slow heads come while the block runs."""
        visitors: list[Callable[[], None]] = [self._log_in_often] * _AT_ONCE
        visitors += [self._be_strange] * _STRANGERS + [self._send_slowly]
        threads = [threading.Thread(target=visitor) for visitor in visitors]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def draw_address(self, networks: tuple[int, int]) -> str:
        """Return an address of a random network."""
        draw = self.random.randint
        return f"127.{draw(*networks)}.{draw(0, 255)}.{draw(1, 254)}"

    def _log_in_often(self) -> None:
        cookies: dict[str, str] = {}
        while not self.ended.is_set():
            wire = Wire(self, self.draw_address(_HONEST), self.of_browsers)
            wire.cookies = cookies
            try:
                self.login(wire)
            except (SystemExit, OSError, http.client.HTTPException) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
            else:
                with self.lock:
                    self.logins += 1
            cookies = wire.cookies

    def _be_strange(self) -> None:
        """Begin logins and end none, post forged Responses, and ask for addresses that do not exist."""
        tricks = (self._begin, self._forge, lambda wire: wire.send("GET", f"/{token_hex(8)}"))
        while not self.ended.wait(_STRANGER_PAUSE):
            # Every fifth comes from one network, which reaches its limit.
            address = self.random.choice([*(self.draw_address(_STRANGE) for _ in range(4)), "127.255.0.1"])
            wire = Wire(self, address, self.of_strangers)
            wire.cookies = {f"b-{token_hex(8)}": token_hex(32)}
            with suppress(SystemExit):  # the network is at its limit
                self.random.choice(tricks)(wire)

    def _begin(self, wire: HttpWire) -> ReceivedAuthnRequest:
        return wayf_hub.read(self.login.ask_hub(wire))

    def _forge(self, wire: HttpWire) -> None:
        """Begin a login and post a Response that a key other than the hub's has signed."""
        asked = self._begin(wire)
        key = self.demo.setting.library.signing
        xml = wayf_hub.response(HUB, asked, persona("asta"), key, datetime.now(UTC))
        wire.send("POST", asked.acs, http_bindings.build_post_fields(xml, "SAMLResponse", asked.relay_state))

    def _send_slowly(self) -> None:
        """Hold connections whose heads come one octet a second; replace those that nginx has closed."""
        while not self.ended.wait(1):
            for head in list(self.heads):
                try:
                    head.send(b"x")
                except OSError:
                    head.close()
                    self.heads.remove(head)
            for _ in range(min(_NEW_HEADS, _SLOW_HEADS - len(self.heads))):
                head = self.connect(self.draw_address(_STRANGE))
                head.sendall(_HEAD)
                self.heads.append(head)
        for head in self.heads:
            head.close()

    def connect(self, address: str) -> ssl.SSLSocket:
        """Return a connection to nginx from an address of loopback."""
        bare = socket.create_connection(("127.0.0.1", self.front.port), 60, (address, 0))
        return self.trust.wrap_socket(bare, server_hostname=NAME)

    def reload(self) -> None:
        """Let both processes read their configuration again, as ``systemctl reload`` does."""
        for process in (self.demo.broker, self.demo.work):
            process.send_signal(signal.SIGHUP)

    def measure(self) -> "tuple[float, int]":
        """Return the megabytes of both processes and their children, and the descriptors."""
        roots = (self.demo.broker.pid, self.demo.work.pid)
        while True:
            with suppress(FileNotFoundError, ProcessLookupError):  # a worker that ended meanwhile
                megabytes = sum(map(processes.memory, roots)) / 1024**2
                return megabytes, sum(map(processes.descriptors, roots))


class Wire(HttpWire):
    """Sends by TLS from one address, and counts the answers by status."""

    def __init__(self, soak: Soak, address: str, answers: Counter[int]) -> None:
        super().__init__(soak.front.origin)
        self.soak, self.own_address, self.answers = soak, address, answers

    def connect(self) -> socket.socket:
        """Return a connection from the address."""
        return self.soak.connect(self.own_address)

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Send a request and count the status of the answer."""
        answer = super().send(method, url, fields)
        with self.soak.lock:
            self.answers[answer[0]] += 1
        return answer


@contextmanager
def run_soak(folder: Path) -> Iterator[Soak]:
    """Run a demo with two workers behind nginx, with asta's consent on file and her borrower made."""
    ports = PortsBehind(free_base(), free_port())
    setting = write(folder / "demo", ports, datetime.now(UTC))
    text = re.sub(r"(?m)^methods = .*$", 'methods = ["wayf"]', setting.config.read_text())
    setting.config.write_text(text + "proxies = 1\n")
    with run_demo(setting) as demo, nginx(ports.front, free_port(), ports.number("broker")) as front:
        browser = Browser()
        browser.session.mount("https://", _Loopback())
        browser.session.verify = str(front.certificate)
        persona_check.walk(browser, ports.origin("library"), persona("asta"), "wayf", remember=True)
        yield Soak(demo, front, UniversityLogin.for_setting(setting))


def run_rows(soak: Soak, seconds: float) -> Iterator[str]:
    """Print the rows, reload twice, and yield the faults."""
    sys.stdout.write(
        _COLUMNS.format("seconds", "logins", "lost", "2xx", "3xx", "4xx", "5xx", "slow", "MB", "descriptors")
    )
    began = time.monotonic()
    measured = []
    for row in range(_ROWS + 1):  # the first one after the warm-up
        time.sleep(max(0, began + seconds * row / _ROWS - time.monotonic()))
        megabytes, descriptors = soak.measure()
        measured.append((megabytes, descriptors))
        answers = count_classes(soak.of_browsers + soak.of_strangers)
        classes = [answers[number] for number in (2, 3, 4, 5)]
        counts = (soak.logins, len(soak.lost), *classes, len(soak.heads), round(megabytes, 1), descriptors)
        sys.stdout.write("\n" + _COLUMNS.format(round(time.monotonic() - began), *counts))
        sys.stdout.flush()
        if row in _RELOADS:
            soak.reload()
    sys.stdout.write(f"\nbrowsers: {dict(soak.of_browsers)}; strangers: {dict(soak.of_strangers)}\n")
    yield from (f"lost: {what}" for what in soak.lost)
    if faulty := count_classes(soak.of_browsers + soak.of_strangers)[5]:
        yield f"{faulty} answers 5xx"
    warm, flat, last = measured[0], measured[_CACHES_FULL], measured[-1]
    if last[0] > max(warm[0], flat[0]) * _GROWTH:
        yield f"memory grows from {flat[0]:.0f} to {last[0]:.0f} MB"
    if last[1] > max(warm[1], flat[1]) + _MORE_DESCRIPTORS:
        yield f"descriptors grow from {flat[1]} to {last[1]}"


def count_classes(answers: Counter[int]) -> Counter[int]:
    """Return the numbers of answers by the first digit of their status."""
    classes: Counter[int] = Counter()
    for status, count in answers.items():
        classes[status // 100] += count
    return classes


def main() -> None:
    """Warm up, soak, and print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="duration after the warm-up of a tenth")
    seconds = parser.parse_args().seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is stopped
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with TemporaryDirectory(prefix="soak-") as folder, ExitStack() as stack:
        soak = stack.enter_context(run_soak(Path(folder)))
        with soak.under_load():
            time.sleep(seconds / _ROWS)
            faults = list(run_rows(soak, seconds))
    sys.stdout.write("\n".join((*faults, f"{len(faults)} faults\n")))
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
