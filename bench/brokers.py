"""Runs the broker that is measured: a real ``broker serve``, and the simulated parties around it."""

import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import browsers, processes
from bench.figures import Figure, Row, part, row
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.people.personas import persona
from broker.demo.run import demo_folder
from broker.demo.run.demo_folder import Ports, Setting
from broker.demo.run.running_demo import Running, run_demo

SQLITE: Final = "sqlite:state/broker.db"
_FIRST_PORT: Final = 18_080
_LAST_PORT: Final = 28_000
_WARM_UP: Final = 30
# All logins come from one network, so the limit on login starts must not apply.
_LIMITS: Final = "\n[limits]\nbeginnings = 1000000\n"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a broker is set up; ``prepare`` changes its folder before it starts."""

    store: str = SQLITE
    workers: int = 1
    prepare: Callable[[Setting], None] = lambda _: None
    memory_disk: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of a number of logins: CPU of the process tree and of the browsers, wall time, memory."""

    cpu_ms: float
    browsers_ms: float
    logins_a_second: float
    times: list[browsers.LoginTimes]
    kept_kb: float

    def ms(self, share: float) -> float:
        """Return the milliseconds within which the broker gave all its answers in ``share`` of the logins."""
        return part([each.answers for each in self.times], share) * 1000

    def whole_ms(self, share: float) -> float:
        """Return the milliseconds within which ``share`` of the logins ended, with the work of hub and browser."""
        return part([each.whole for each in self.times], share) * 1000


@contextmanager
def broker_running(setup: Setup) -> Iterator[Running]:
    """Run a broker in a throw-away folder, with asta's consent on file and her borrower made."""
    memory = "/dev/shm" if setup.memory_disk and Path("/dev/shm").is_dir() else None  # noqa: S108 - a private folder below it
    with tempfile.TemporaryDirectory(prefix="bench-", dir=memory) as folder:
        setting = demo_folder.write(
            Path(folder) / "demo", free_ports(), datetime.now(UTC), store=setup.store, key_size=2048
        )
        setting.save_party_keys()
        text = setting.config.read_text().replace("workers = 2", f"workers = {setup.workers}")
        text = re.sub(r"(?m)^methods = .*$", 'methods = ["wayf"]', text)
        setting.config.write_text(text + _LIMITS)
        setup.prepare(setting)
        with run_demo(setting) as demo:
            agree(setting)
            yield demo


def on_path(folder: Path) -> str:
    """Return a PYTHONPATH with ``folder`` first."""
    return f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"


@contextmanager
def environment(more: dict[str, str]) -> Iterator[None]:
    """Let what is started meanwhile have more in its environment."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def agree(setting: Setting) -> None:
    """Let asta log in once, agree for later too, and become a borrower."""
    persona_check.walk(Browser(), setting.ports.origin("library"), persona("asta"), "wayf", remember=True)


def free_ports() -> Ports:
    """Return a block of ports that nobody listens at."""
    for base in range(_FIRST_PORT, _LAST_PORT, 20):
        if all(map(is_free, range(base, base + len(demo_folder.PARTIES)))):
            return Ports(base)
    raise SystemExit("no block of free ports was found")


def is_free(port: int) -> bool:
    """Return whether nobody listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def measure(pid: int, origin: str, login: browsers.Login, logins: int, concurrency: int = 1) -> Measured:
    """Measure logins at a server whose process tree has its root at ``pid``; it is warm already."""
    before, kept = processes.cpu(pid), processes.memory(pid)
    others, began = processes.cpu_of_ended_children(), time.monotonic()
    times = browsers.load(origin, login, logins, concurrency)
    seconds = time.monotonic() - began
    spent = (processes.cpu(pid) - before) * 1000 / logins
    browsing = (processes.cpu_of_ended_children() - others) * 1000 / logins
    grown = (processes.memory(pid) - kept) / 1024 / logins
    return Measured(spent, browsing, logins / seconds, times, grown)


def measure_broker(
    demo: Running, login: browsers.Login, logins: int, concurrency: int = 1, *, warm_up: int = _WARM_UP
) -> Measured:
    """Warm a broker up and measure logins at it."""
    origin = demo.setting.ports.origin("broker")
    if warm_up:
        browsers.load(origin, login, warm_up * concurrency // 2 + warm_up, concurrency)
    return measure(demo.broker.pid, origin, login, logins, concurrency)


def make_row(name: str, found: Measured, *, most_cpu: float | None = None, most_p99: float | None = None) -> Row:
    """Return the row of a measurement, with its budgets."""
    return row(
        name,
        Figure("ms CPU/login", found.cpu_ms, most=most_cpu),
        Figure("logins/s", found.logins_a_second),
        Figure("ms p50", found.ms(0.5)),
        Figure("ms p99", found.ms(0.99), most=most_p99),
        Figure("kB kept/login", found.kept_kb),
    )
