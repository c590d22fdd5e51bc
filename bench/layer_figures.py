"""Measures a login by request and layer: samples of the application, and the whole of the real server beside it."""

import json
import mmap
import os
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile
from typing import Any, Final

from bench.brokers import Setup, broker_running, environment, measure_broker, on_path
from bench.browsers import UniversityLogin
from bench.figures import Figure, Row, row
from bench.layers import LAYERS, SERVER
from bench.picture import Bar, draw_picture
from broker.demo.run.demo_folder import Setting

REQUESTS: Final = ("SSO GET", "ACS POST", "GET")
_SERIES: Final = 5
_LOGINS: Final = 100
_SAMPLED: Final = 1_500
_COUNTED: Final = 64
_TURNS: Final = 8
_MOST_WATCHING: Final = 3.0
# The most calls to store and audit log that a request may make (docs/reference/design.md#8).
_MOST: Final = {
    "SSO GET": {"read": 0, "write": 1, "audit": 0},
    "ACS POST": {"read": 1, "write": 1, "audit": 0},
    "GET": {"read": 3, "write": 1, "audit": 1},
}


@dataclass(frozen=True, slots=True)
class Layers:
    """CPU milliseconds of a login by request and layer; the server's are of no one request."""

    of_requests: dict[str, dict[str, float]]
    server: float
    turns: dict[str, dict[str, int]]
    watching: float  # the part of the application's time that metrics and log take

    def milliseconds(self, layer: str) -> float:
        """Return the milliseconds of a layer in a login."""
        if layer == SERVER:
            return self.server
        return sum(found.get(layer, 0.0) for found in self.of_requests.values())

    @property
    def total(self) -> float:
        """Return the milliseconds of a login."""
        return self.server + sum(sum(found.values()) for found in self.of_requests.values())


class InProcess:
    """The application in a separate process that carries out commands."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self._running = running

    def ask(self, command: str, logins: int) -> Any:
        """Send a command and return its answer; SystemExit where the process has ended."""
        assert self._running.stdin
        assert self._running.stdout
        self._running.stdin.write(json.dumps([command, logins]) + "\n")
        self._running.stdin.flush()
        line = self._running.stdout.readline()
        if not line:
            raise SystemExit("the application ended; its errors are above")
        return json.loads(line)


@contextmanager
def start_in_process(setting: Setting) -> Iterator[InProcess]:
    """Start the application of ``setting`` in a separate process."""
    command = (sys.executable, "-m", "bench.in_process", str(setting.folder))
    untimed = {name: value for name, value in os.environ.items() if name != "TIMED_FILE"}
    with subprocess.Popen(command, env=untimed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield InProcess(running)
        finally:
            running.terminate()


class TimedApplication:
    """The CPU time that the application takes inside the real server; ``timed_application`` adds it up."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def milliseconds(self) -> float:
        """Return the milliseconds so far, over all processes of the server."""
        seconds: float = struct.unpack_from("d", self._file.read_bytes())[0]
        return seconds * 1000


@contextmanager
def time_application() -> Iterator[TimedApplication]:
    """Let every server that is started meanwhile time its application."""
    folder = Path(__file__).parent / "timed_application"
    with NamedTemporaryFile() as file:
        file.write(bytes(mmap.PAGESIZE))
        file.flush()
        with environment({"PYTHONPATH": on_path(folder), "TIMED_FILE": file.name}):
            yield TimedApplication(Path(file.name))


def measure_layers() -> Layers:
    """Measure a known browser's logins, one at a time, with SQLite.

    The time of the application is measured inside the server, because other programs use the processor's caches
    between two requests. A separate process divides it by request and layer. The state lies in memory, so no sample
    waits for the disk.
    """
    whole: list[float] = []
    within: list[float] = []
    requests: dict[str, list[float]] = {name: [] for name in REQUESTS}
    with ExitStack() as running:
        timed = running.enter_context(time_application())
        demo = running.enter_context(broker_running(Setup(memory_disk=True)))
        application = running.enter_context(start_in_process(demo.setting))
        login = UniversityLogin.for_setting(demo.setting)
        application.ask("cpu", _LOGINS)
        measure_broker(demo, login, _LOGINS)
        for _ in range(_SERIES):
            before = timed.milliseconds()
            whole.append(measure_broker(demo, login, _LOGINS, warm_up=0).cpu_ms)
            within.append((timed.milliseconds() - before) / _LOGINS)
            for name, spent in application.ask("cpu", _LOGINS).items():
                requests[name].append(spent)
        samples = application.ask("samples", _SAMPLED)
        turns = application.ask("turns", _COUNTED)
        watching = application.ask("watching", _SAMPLED)
    alone = {name: median(found) for name, found in requests.items()}
    factor = median(within) / sum(alone.values())
    shares = {name: _share_by_layer(factor * alone[name], Counter(samples[name])) for name in REQUESTS}
    server = median(total - part for total, part in zip(whole, within, strict=True))
    return Layers(shares, server, turns, watching)


def _share_by_layer(spent: float, samples: Counter[str]) -> dict[str, float]:
    """Return a request's milliseconds by layer, in proportion to the samples."""
    total = samples.total()
    return {layer: spent * samples[layer] / total for layer in LAYERS if samples[layer]}


def rows(found: Layers) -> Iterator[Row]:
    """Yield the layers, the requests, and the turns of store and audit log."""
    for layer in LAYERS:
        of_requests = [Figure(f"in {name}", found.of_requests[name].get(layer, 0.0)) for name in REQUESTS]
        yield row(layer, Figure("ms", found.milliseconds(layer)), *(of_requests if layer != SERVER else ()))
    sums = [Figure(f"in {name}", sum(found.of_requests[name].values())) for name in REQUESTS]
    yield row("a login", Figure("ms", found.total), *sums)
    share = 100 * found.watching * (1 - found.server / found.total)
    yield row("metrics and log, of a login", Figure("%", share, most=_MOST_WATCHING))
    yield from _turns(found.turns)


def draw_layers(found: Layers, path: Path) -> None:
    """Draw the layers of a login as SVG: a bar for each request and one for the server."""
    bars = [Bar(name, found.of_requests[name]) for name in REQUESTS]
    bars.append(Bar(SERVER, {SERVER: found.server}))
    title = f"A login: {found.total:.1f} ms of CPU, by request and layer"
    path.write_text(draw_picture(title, LAYERS, tuple(bars)), encoding="utf-8")


def _turns(turns: dict[str, dict[str, int]]) -> Iterator[Row]:
    for request in REQUESTS:
        counted = turns.get(request, {})
        figures = [Figure(f"{word} calls", counted.get(word, 0), most=most) for word, most in _MOST[request].items()]
        yield row(f"{request}: calls of store and audit log", *figures)
    total = sum(sum(counted.values()) for counted in turns.values())
    yield row("a login: calls of store and audit log", Figure("calls", total, most=_TURNS))
