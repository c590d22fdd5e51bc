"""Runs the application under gunicorn, with the loop of queued work started in each worker after the fork."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.util import parse_address
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from broker.adapters.telling import application_log, metrics
from broker.adapters.telling.event_sinks import EventSinks, to_log
from broker.app import assembly, inspection
from broker.app.application import create_app
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.events import BrokerEvent, EventKind, Sink
from broker.files.settings.config import Config
from broker.flows import worker_loop

# Beside a wake-up from its own worker, how long a wish written elsewhere may lie.
_IDLE: Final = 2.0
# How long a worker that cannot start waits before another takes its place.
_PAUSE: Final = 5.0
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - workers keep their heartbeat there, unnamed; a slow disk must not kill them


@dataclass(frozen=True, slots=True)
class Mounted:
    """The application where base_url says, and the parts it is made of."""

    application: WSGIApplication
    parts: assembly.Parts

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self.application(environ, start_response)


class Served(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn over our configuration; nothing is read from its own files or environment."""

    def __init__(self, read: Callable[[], Config]) -> None:
        """Take what reads the configuration; ``ConfigurationFaults`` where it cannot be served."""
        self.read = read
        self.config = _checked(read)
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options, at the start and at every reload."""
        serve = self.config.serve
        options = {
            "bind": [serve.bind],
            "workers": serve.workers,
            "threads": serve.threads,
            "worker_class": "gthread",
            "timeout": 60,
            "graceful_timeout": 30,
            "keepalive": 5,
            "max_requests": 0,
            # An access log would hold SAML messages in query strings.
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "logger_class": Terse,
            # A socket in a home folder, by which whoever gets at it commands the server.
            "control_socket_disable": True,
            "worker_tmp_dir": str(_MEMORY) if _MEMORY.is_dir() else None,
            "preload_app": False,
            "limit_request_line": 8190,
            "limit_request_field_size": 16380,
            "post_worker_init": _start_loop,
            "worker_exit": _end_loop,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application in the worker, so that HUP brings a new one.

        A worker that cannot (a metadata file half copied when another worker died) ends with a code
        that lets the arbiter try again: gunicorn's own would take the workers down that still
        serve.
        """
        try:
            made = create_app(self.config)
        except BrokerError as error:
            _tell_faults(EventKind.WORKER_WAITS, error)
            time.sleep(_PAUSE)
            raise SystemExit(1) from None
        path = urlsplit(self.config.base_url).path
        # Below a path the broker sees only what lies below it, as it does when another application
        # mounts it.
        mounted = DispatcherMiddleware(NotFound(), {path: made}) if path else made
        return Mounted(mounted, made.extensions["broker"])

    def renew(self) -> bool:
        """Read the configuration again; where it cannot be served, tell every fault, keep what runs and say False."""
        try:
            self.config = _checked(self.read)
        except BrokerError as error:
            _tell_faults(EventKind.RELOAD_REFUSED, error)
            return False
        _tell(BrokerEvent(EventKind.CONFIGURATION_RELOADED))
        return True

    def run(self) -> None:
        """Serve until told to stop."""
        _Reloading(self).run()


class _Reloading(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's arbiter, which replaces no worker that serves by one that could not."""

    def handle_hup(self) -> None:
        """Reload, if what would be loaded is sound."""
        if self.app.renew():
            super().handle_hup()


class Terse(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's log without what it quotes of requests: addresses with SAML messages, texts of errors."""

    def warning(self, msg: object, *args: object, **_: object) -> None:
        """Log a warning, but of a request that is no HTTP only that there was one."""
        text = str(msg)
        super().warning("Invalid request" if text.startswith("Invalid request") else text, *args)

    def exception(self, *_: object, **__: object) -> None:
        """Tell the type of an error and where it was raised."""
        error = sys.exc_info()[1]
        if error is not None:
            application_log.unexpected(error, "server")


_ending = threading.Event()
# Before and between the workers there is no store: what happens there is a line of the log.
_tell = EventSinks({Sink.LOG: to_log(application_log.tell)}).tell


def _report(error: Exception) -> None:
    application_log.unexpected(error, "rounds")


def _start_loop(worker: Any) -> None:
    made: assembly.Parts = worker.wsgi.parts
    # A loop of its own for metadata: a feed that takes a minute must not keep a borrower waiting.
    loops: dict[str, tuple[Sequence[Callable[[], object]], threading.Event]] = {
        "rounds": ((made.enrolments.step, made.pin_letters.step), made.wake),
        "metadata": (
            (lambda: made.metadata.step(assembly.now()), *_sweeping(made)),
            made.metadata.wake,
        ),
    }
    for name, (steps, wake) in loops.items():
        turns = (steps, wake, _ending.is_set, _IDLE, _report)
        threading.Thread(
            target=worker_loop.run_worker_loop, args=turns, name=name, daemon=True
        ).start()


def _sweeping(made: assembly.Parts) -> Sequence[Callable[[], object]]:
    """Give what deletes old messages on days when nobody logs in."""
    messages = made.messages
    return (lambda: messages.step(assembly.now()),) if messages else ()


def _end_loop(_: Any, worker: Any) -> None:
    _ending.set()
    wsgi = getattr(worker, "wsgi", None)
    if wsgi is not None:
        wsgi.parts.wake.set()
        wsgi.parts.metadata.wake.set()


def _checked(read: Callable[[], Config]) -> Config:
    """Read a configuration and open everything it names once; ``BrokerError`` where it cannot be served.

    What must be there before the fork (the store's file) is made by it.
    """
    config = read()
    try:
        parse_address(config.serve.bind)
    except RuntimeError:
        raise ConfigurationFaults(
            [Fault("serve.bind", "is no address", "write HOST:PORT, or unix:FILE")]
        ) from None
    inspection.fit_to_serve(assembly.assemble(config))
    return config


def _tell_faults(kind: EventKind, error: BrokerError) -> None:
    faults = error.faults if isinstance(error, ConfigurationFaults) else (error,)
    for fault in faults:
        _tell(BrokerEvent(kind, {"reason": error.reason, "fault": str(fault)}))


def serve(read: Callable[[], Config]) -> None:
    """Check everything once and serve until told to stop; HUP reads and checks it again.

    ``ConfigurationFaults`` where the parts do not fit, or the store may lose what it acknowledged.
    """
    application_log.configure()
    with metrics.shared(read().keys.parent / "state" / "metrics"):
        Served(read).run()
