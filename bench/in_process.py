"""Logs in at the broker's application inside this process: its CPU time by request and layer, and its turns.

    python -m bench.in_process FOLDER

FOLDER is that of a demo that was written with its parties' keys; the parties run elsewhere. Commands come as lines of
JSON on standard input, and each answer is one: ``["cpu", LOGINS]``, ``["samples", LOGINS]``, ``["turns", LOGINS]``,
``["watching", LOGINS]``.
"""

import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlencode, urlsplit
from wsgiref.types import WSGIApplication

from bench.browsers import UniversityLogin, cookie_header, keep_cookie
from bench.layers import LayerFinder
from broker.adapters.audit_log.monthly_files import AuditFiles
from broker.adapters.observability import application_log, metrics
from broker.adapters.observability.log_budget import LogBudget
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.app.application import create_app
from broker.demo.run import demo_folder

# The requests of a login in a known browser, by the beginning of their paths.
REQUESTS: Final = {"/saml/idp/sso": "SSO GET", "/saml/sp/": "ACS POST", "/login/": "GET"}
# Seconds between two samples of the wall clock. It beats with nothing that the machine does.
_BETWEEN: Final = 0.00097
_STORE_CALLS: Final = {
    "get_many": "read",
    "list": "read",
    "put_many": "write",
    "drop": "write",
    "claim": "write",
    "count": "write",
}


_WATCHING: Final = (
    (application_log, "log_event"),
    (LogBudget, "write_limited"),
    (metrics.Metrics, "count"),
    (metrics.Metrics, "request"),
    (metrics.Metrics, "store_call"),
)


@dataclass(slots=True)
class Meter:
    """The CPU time, samples and calls of the current requests."""

    request: str = ""
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    samples: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    turns: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    layers: LayerFinder = field(default_factory=LayerFinder)
    watching: float = 0.0  # milliseconds inside the calls of metrics and log
    is_inside: bool = False

    def sample(self, _: int, frame: FrameType | None) -> None:
        """Charge the layer that runs at this moment; the signal's handler.

        A signal of a moment before the request is not its own, though it is handled in it.
        """
        if self.request and frame is not None and frame.f_code is not InProcessWire.send.__code__:
            self.samples[self.request][self.layers.layer(frame)] += 1

    def count_calls(self, word: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call``, counted under ``word``."""

        @wraps(call)
        def counting(*arguments: Any, **named: Any) -> Any:
            if self.request:
                self.turns[self.request][word] += 1
            return call(*arguments, **named)

        return counting

    def time_calls(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call``, whose CPU time is added up; a call inside another one is part of that."""

        @wraps(call)
        def timing(*arguments: Any, **named: Any) -> Any:
            if self.is_inside:
                return call(*arguments, **named)
            self.is_inside, began = True, time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self.watching += (time.thread_time() - began) * 1000
                self.is_inside = False

        return timing


class InProcessWire:
    """Requests that go straight into an application, as a server would hand them over."""

    def __init__(self, app: WSGIApplication, origin: str, meter: Meter) -> None:
        self.app, self.meter, self.host = app, meter, urlsplit(origin).netloc
        self.cookies: dict[str, str] = {}

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Send a request and return status, Location and body; its CPU time is charged to its name."""
        environ = self._environ(method, url, urlencode(fields or {}).encode())
        answered: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
            answered.extend((int(status.split(maxsplit=1)[0]), headers))
            return lambda _: None

        path = str(environ["PATH_INFO"])
        name = next(name for begin, name in REQUESTS.items() if path.startswith(begin))
        self.meter.request = name
        began = time.thread_time()
        body = self.app(environ, start_response)
        octets = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        spent = time.thread_time() - began
        self.meter.request = ""
        self.meter.cpu[name].append(spent * 1000)
        status, headers = answered
        for header, value in headers:
            if header.lower() == "set-cookie":
                keep_cookie(self.cookies, value)
        location = next((value for header, value in headers if header.lower() == "location"), "")
        return status, location, octets

    def _environ(self, method: str, url: str, body: bytes) -> dict[str, Any]:
        parts = urlsplit(url)
        host, _, port = self.host.partition(":")
        return {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "SERVER_NAME": host,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": self.host,
            "HTTP_COOKIE": cookie_header(self.cookies),
            "CONTENT_TYPE": "application/x-www-form-urlencoded" if body else "",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }


@dataclass(frozen=True, slots=True)
class Bench:
    """An application, the login that is measured at it, and the meter."""

    login: UniversityLogin
    wire: InProcessWire
    meter: Meter

    def cpu(self, logins: int) -> dict[str, float]:
        """Return the median CPU milliseconds of each request."""
        self.meter.cpu.clear()
        self._run(logins)
        return {name: median(times) for name, times in self.meter.cpu.items()}

    def watching(self, logins: int) -> float:
        """Return the part of a login's CPU time that is spent inside the calls of metrics and log."""
        parts = []
        with ExitStack() as replaced:
            for owner, name in _WATCHING:
                timing = self.meter.time_calls(getattr(owner, name))
                replaced.enter_context(patch.object(owner, name, timing))
            wire = InProcessWire(create_app(), f"//{self.wire.host}", self.meter)
            for _ in range(logins):
                self.meter.cpu.clear()
                self.meter.watching = 0.0
                self.login(wire)
                parts.append(self.meter.watching / sum(map(sum, self.meter.cpu.values())))
        return median(parts)

    def samples(self, logins: int) -> dict[str, dict[str, int]]:
        """Return how many samples of each request fell into each layer."""
        self.meter.samples.clear()
        before = signal.signal(signal.SIGALRM, self.meter.sample)
        signal.siginterrupt(signal.SIGALRM, False)  # noqa: FBT003 - the signature of the standard library
        signal.setitimer(signal.ITIMER_REAL, _BETWEEN, _BETWEEN)
        try:
            self._run(logins)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return {name: dict(found) for name, found in self.meter.samples.items()}

    def turns(self, logins: int) -> dict[str, dict[str, int]]:
        """Return the whole calls of each request to store and audit log, a login.

        One login of 64 also stores an anchor of the audit log.
        """
        self.meter.turns.clear()
        with self._count_all_calls():
            self._run(logins)
        return {
            request: {word: count // logins for word, count in found.items()}
            for request, found in self.meter.turns.items()
        }

    @contextmanager
    def _count_all_calls(self) -> Iterator[None]:
        """Count the calls of the store that a login makes, and the appends to the audit log."""
        counted: list[tuple[type, str, str]] = [(AuditFiles, "append", "audit")]
        counted += [(EncryptedStore, name, word) for name, word in _STORE_CALLS.items()]
        replaced = [(owner, name, getattr(owner, name)) for owner, name, _ in counted]
        for owner, name, word in counted:
            setattr(owner, name, self.meter.count_calls(word, getattr(owner, name)))
        try:
            yield
        finally:
            for owner, name, call in replaced:
                setattr(owner, name, call)

    def _run(self, logins: int) -> None:
        for _ in range(logins):
            self.login(self.wire)


def main() -> None:
    """Carry out the commands that come, until there are no more."""
    setting = demo_folder.read(Path(sys.argv[1]))
    os.environ["BROKER_CONFIG"] = str(setting.config)
    with tempfile.TemporaryDirectory() as folder, metrics.share_counts(Path(folder) / "metrics"):
        answers, log = os.dup(1), os.open(setting.folder / "in_process.log", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(log, 1)  # the application's log goes where a file would be: its lines are no answers
        meter = Meter()
        metrics.count_in_files(Path(folder) / "metrics", str(os.getpid()))
        wire = InProcessWire(create_app(), setting.ports.origin("broker"), meter)
        bench = Bench(UniversityLogin.for_setting(setting), wire, meter)
        with os.fdopen(answers, "w") as out:
            for line in sys.stdin:
                command, logins = json.loads(line)
                print(json.dumps(getattr(bench, command)(logins)), file=out, flush=True)


if __name__ == "__main__":
    main()
