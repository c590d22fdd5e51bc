"""Measures one login on the WAYF route: server CPU over the whole process tree, logins a second, latency, memory.

    .venv/bin/python bench/login.py [--logins 500] [--workers 1] [--concurrency 4] [--store sqlite|redis://...]

Consent is on file and the borrower known, RSA-2048 on every side, as SATOSA was measured. The hub and
the library are played in this process, whose own CPU is not counted. With ``--satosa PYTHON`` (an interpreter that has
SATOSA installed) the same load is put on SATOSA in the same run and the ratio is printed.
"""

import argparse
import http.client
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from lxml import html

from bench.satosa import SatosaRun, satosa_running
from broker.adapters.saml.gate import http_bindings, signature
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.library import services
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, SERVICES, Ports, write
from broker.demo.run.running_demo import Running, running
from broker.demo.upstreams import wayf_hub

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    processes, queue = [], [pid]
    while queue:
        process = queue.pop()
        processes.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            queue += map(int, children.read_text().split())
    return processes


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process tree so far, children that have ended included."""
    total = 0
    for process in tree(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(fields[index]) for index in (11, 12, 13, 14))
    return total / TICKS


def memory(pid: int) -> int:
    """Return the proportional memory of a process tree in bytes."""
    total = 0
    for process in tree(pid):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Wire:
    """A kept-alive connection that sends and reads like a browser, with its cookies."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self.host, self.connection = parts.netloc, http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Send a request and return status, Location and body; no redirect is followed."""
        parts = urlsplit(url)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Host": self.host, "Cookie": cookies, **self.headers}
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(fields) if fields is not None else None
        self.connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        answer = self.connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return answer.status, answer.getheader("Location") or "", answer.read()


def login(demo: Running, peer: services.BrokerAsIdp, key: signature.SigningKey) -> Callable[[Wire], None]:
    """Return a function that logs in at our broker: AuthnRequest, hub, ACS, landing."""
    title, _, entity_id = SERVICES["my-loans"]
    site = services.Site(title, entity_id, f"{demo.setting.ports.origin('library')}/my-loans/acs")
    person = persona("asta")

    def once(wire: Wire) -> None:
        status, to_hub, _ = wire.send("GET", services.request_url(site, "my-loans", peer, force=False, passive=False))
        asked = wayf_hub.read(urlsplit(to_hub).query)
        xml = wayf_hub.response(HUB, asked, person, key, datetime.now(UTC))
        cookies, wire.cookies = wire.cookies, {}
        status, back, _ = wire.send(
            "POST", asked.acs, http_bindings.post_fields(xml, "SAMLResponse", asked.relay_state)
        )
        wire.cookies = cookies
        status, _, page = wire.send("GET", back)
        if status != 200 or b"SAMLResponse" not in page:
            msg = f"login ended with {status}: {''.join(map(str, html.fromstring(page).itertext()))[:300]}"
            raise SystemExit(msg)
        wire.cookies = {name: value for name, value in wire.cookies.items() if name.startswith(("b-", "mark"))}

    return once


def load(origin: str, once: Callable[[Wire], None], logins: int, concurrency: int, bare: str | None) -> list[float]:
    """Run ``logins`` logins over ``concurrency`` browsers and return the seconds of every login."""
    times: list[float] = []
    left = iter(range(logins))
    lock = threading.Lock()

    def browse() -> None:
        wire = Wire(origin)
        if bare:
            wire.cookies = {"b-" + "0" * 16: bare}
        while True:
            with lock:
                if next(left, None) is None:
                    return
            began = time.perf_counter()
            once(wire)
            times.append(time.perf_counter() - began)

    threads = [threading.Thread(target=browse) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != logins:
        raise SystemExit(f"{logins - len(times)} of {logins} logins did not end")
    return times


def measure(name: str, pid: int, run: Callable[[int], list[float]], logins: int) -> float:
    """Warm up, measure, print a row, and return the CPU milliseconds per login."""
    # As many logins again first: caches fill, and what is left to grow is growth.
    run(logins)
    before, kept, began = cpu(pid), memory(pid), time.perf_counter()
    times = sorted(run(logins))
    seconds, spent = time.perf_counter() - began, (cpu(pid) - before) * 1000 / logins
    grown = (memory(pid) - kept) / logins
    p50, p95, p99 = (times[min(len(times) - 1, int(len(times) * part))] * 1000 for part in (0.5, 0.95, 0.99))
    print(
        f"{name:10} {spent:7.2f} ms CPU/login  {logins / seconds:6.1f} logins/s  "
        f"p50 {p50:.0f} p95 {p95:.0f} p99 {p99:.0f} ms  memory {grown / 1024:+.2f} kB/login"
    )
    return spent


@contextmanager
def ours(arguments: argparse.Namespace) -> Iterator[Running]:
    """Run our broker, with asta's consent on file and her borrower made."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = write(Path(folder) / "demo", Ports(arguments.port_base), datetime.now(UTC), store=arguments.store)
        text = setting.config.read_text().replace("workers = 2", f"workers = {arguments.workers}")
        text = re.sub(r"(?m)^methods = .*$", 'methods = ["wayf"]', text)
        # All of them come from one network.
        setting.config.write_text(f"{text}\n[limits]\nbeginnings = 1000000\n")
        with running(setting) as demo:
            persona_check.walk(Browser(), setting.ports.origin("library"), persona("asta"), "wayf", remember=True)
            yield demo


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logins", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--store", default="sqlite:state/broker.db")
    parser.add_argument("--port-base", type=int, default=18080)
    parser.add_argument("--satosa", help="a Python interpreter that has SATOSA installed")
    arguments = parser.parse_args()
    with ours(arguments) as demo:
        key = signature.SigningKey.of(demo.setting.hub.key.encode(), demo.setting.hub.certificate.encode())
        once = login(demo, demo.peer(), key)
        origin = demo.setting.ports.origin("broker")

        def run(logins: int) -> list[float]:
            return load(origin, once, logins, arguments.concurrency, "0" * 64)

        spent = measure("broker", demo.broker.pid, run, arguments.logins)
    if arguments.satosa:
        with satosa_running(str(Path(arguments.satosa).absolute()), arguments.workers) as other:
            theirs = _satosa(other, arguments)
        print(f"{'ratio':10} SATOSA spends {theirs / spent:.1f} times as much")


def _satosa(other: SatosaRun, arguments: argparse.Namespace) -> float:
    def run(logins: int) -> list[float]:
        return load(other.origin, other.once, logins, arguments.concurrency, None)

    return measure("SATOSA", other.pid, run, max(50, arguments.logins // 10))


if __name__ == "__main__":
    main()
