"""Logins at 16 at once behind nginx, and two reloads: no login is lost, and memory and descriptors do not grow.

``make soak`` runs ten minutes with ``deploy/nginx.conf``. It prints a row for each tenth of the time and exits with 1 on
a fault (a short run says nothing of memory: caches fill). Each login comes from a random network of loopback.
tests/walks/test_nginx.py tests slow and rude clients.
"""

import http.client
import re
import signal
import socket
import ssl
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import randint
from tempfile import TemporaryDirectory
from typing import Final

from bench import processes
from bench.browsers import HttpWire, UniversityLogin
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser, _Loopback
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import write
from broker.demo.run.running_demo import Running, run_demo
from tests.plugins.demo import free_base
from tests.plugins.ports import free_port
from tests.walks.nginx_server import NAME, Front, PortsBehind, nginx

_AT_ONCE: Final = 16
_ROWS: Final = 10
_RELOADS: Final = (2, 4)  # after these rows
_CACHES_FULL: Final = 6  # from this row on the workers of the last reload must not grow
_GROWTH: Final = 1.05
_MORE_DESCRIPTORS: Final = 40  # those of requests in progress
_COLUMNS: Final = "{:>8} {:>7} {:>5} {:>7} {:>12}\n"


@dataclass(slots=True)
class Soak:
    """A broker behind nginx under load, and what its visitors have seen."""

    demo: Running
    front: Front
    login: UniversityLogin
    logins: int = 0
    lost: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Let browsers log in while the block runs."""
        threads = [threading.Thread(target=self._log_in_often) for _ in range(_AT_ONCE)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def _log_in_often(self) -> None:
        wire = Wire(self.front)
        while not self.ended.is_set():
            wire.own_address = f"127.{randint(1, 254)}.{randint(0, 255)}.{randint(1, 254)}"
            try:
                self.login(wire)
            except (SystemExit, OSError, http.client.HTTPException) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
            else:
                with self.lock:
                    self.logins += 1

    def reload(self) -> None:
        """Let both processes read their configuration again, as ``systemctl reload`` does."""
        for process in (self.demo.broker, self.demo.work):
            process.send_signal(signal.SIGHUP)

    def measure(self) -> tuple[float, int]:
        """Return the megabytes of both processes and their children, and the descriptors."""
        roots = (self.demo.broker.pid, self.demo.work.pid)
        while True:
            with suppress(FileNotFoundError, ProcessLookupError):  # a worker that ended meanwhile
                return sum(map(processes.memory, roots)) / 1024**2, sum(map(processes.descriptors, roots))


class Wire(HttpWire):
    """Sends by TLS to nginx from one address."""

    def __init__(self, front: Front) -> None:
        super().__init__(front.origin)
        self.trust = ssl.create_default_context(cafile=str(front.certificate))
        self.own_address = ""

    def connect(self) -> socket.socket:
        """Return a connection from the address."""
        bare = socket.create_connection(self.address, 60, (self.own_address, 0))
        return self.trust.wrap_socket(bare, server_hostname=NAME)


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
    sys.stdout.write(_COLUMNS.format("seconds", "logins", "lost", "MB", "descriptors"))
    began = time.monotonic()
    measured = []
    for row in range(_ROWS + 1):  # the first one after the warm-up
        time.sleep(max(0, began + seconds * row / _ROWS - time.monotonic()))
        megabytes, descriptors = soak.measure()
        measured.append((megabytes, descriptors))
        counts = (soak.logins, len(soak.lost), round(megabytes, 1), descriptors)
        sys.stdout.write(_COLUMNS.format(round(time.monotonic() - began), *counts))
        sys.stdout.flush()
        if row in _RELOADS:
            soak.reload()
    yield from (f"lost: {what}" for what in soak.lost)
    warm, flat, last = measured[0], measured[_CACHES_FULL], measured[-1]
    if last[0] > max(warm[0], flat[0]) * _GROWTH:
        yield f"memory grows from {flat[0]:.0f} to {last[0]:.0f} MB"
    if last[1] > max(warm[1], flat[1]) + _MORE_DESCRIPTORS:
        yield f"descriptors grow from {flat[1]} to {last[1]}"


def main() -> None:
    """Warm up, soak, and print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="duration after the warm-up of a tenth")
    seconds = parser.parse_args().seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is stopped
    with TemporaryDirectory(prefix="soak-") as folder, ExitStack() as stack:
        soak = stack.enter_context(run_soak(Path(folder)))
        with soak.under_load():
            time.sleep(seconds / _ROWS)
            faults = list(run_rows(soak, seconds))
    sys.stdout.write("\n".join((*faults, f"{len(faults)} faults\n")))
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
