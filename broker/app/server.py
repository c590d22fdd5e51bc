"""``broker serve``: gunicorn over an application that applies changed policies and metadata."""

import ctypes
import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Final
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from broker.adapters.observability import application_log, metrics
from broker.adapters.observability.event_sinks import EventSinks, to_log
from broker.app import assembly, readiness
from broker.app.application import create_app
from broker.app.fleet_report import FleetReport
from broker.app.readiness import RELEASE
from broker.configuration import durable_files
from broker.configuration.garbage_pause import pause_garbage_collection
from broker.configuration.settings.config import Config
from broker.core.errors import BrokerError, ConfigurationFaults
from broker.core.events.broker_events import BrokerEvent, EventKind, Sink
from broker.use_cases.storage.worker_loop import run_worker_loop

_REFRESH_EVERY_S: Final = 1.0
_RETRY_AFTER_S: Final = 5.0  # a worker that could not start is replaced after this time
_M_ARENA_MAX: Final = -8  # of malloc.h
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - gunicorn's heartbeat files have random names
_WITHOUT_PROXY: Final = (
    "serve.proxies is 0: without a proxy (deploy/nginx.conf) this server is for tests on one "
    "machine only; it has no TLS, and slow clients occupy its threads\n"
)
# The server itself has no store: its events are lines of the log.
_log_event = EventSinks({Sink.LOG: to_log(application_log.log_event)}).tell


def serve(read: Callable[[], Config]) -> None:
    """Serve until SIGTERM. SIGHUP reads the configuration again and applies it if it is sound.

    Raises ConfigurationFaults if the configuration cannot be served.
    """
    application_log.configure()
    _use_one_arena()
    state = read().state
    with suppress(ConfigurationFaults):  # raised below, together with every other fault
        durable_files.make_state(state)
    with metrics.share_counts(state / metrics.FOLDER):
        application = _GunicornApplication(read)
        gc.freeze()  # workers share this memory
        _ReloadingArbiter(application).run()


def _use_one_arena() -> None:
    """Let all threads allocate from one arena, as ``MALLOC_ARENA_MAX=1`` does.

    By default glibc gives each thread an arena of its own: these fragment, and a worker grows by
    about 1 kB per login for hours.
    """
    with suppress(AttributeError):  # other C libraries have no arenas
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


class _GunicornApplication(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with options from broker.toml only, never from its own files or environment."""

    def __init__(self, read: Callable[[], Config]) -> None:
        self._read = read
        self._config = read_checked(read)
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options, at the start and at every reload."""
        serve = self._config.serve
        options = {
            "bind": [serve.bind],
            "workers": serve.workers,
            "threads": serve.threads,
            "worker_class": "gthread",
            # A worker accepts no more connections than it has threads: further ones wait in the
            # kernel's queue, where any worker can take them. Keep-alive would tie clients to one.
            "worker_connections": serve.threads,
            "keepalive": 0,
            "timeout": 60,
            "graceful_timeout": 30,
            # Access log lines and warnings quote requests: SAML messages, personal values.
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "error",
            "logger_class": QuietLogger,
            # A socket in the home folder through which local users could control the server.
            "control_socket_disable": True,
            "worker_tmp_dir": str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None,
            # By default gunicorn believes these headers from this machine. A proxy may pass on what
            # a client wrote: SCRIPT_NAME would lead past the paths that the proxy closes.
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            # The parser that the tests attack; gunicorn prefers one in C if it is installed.
            "http_parser": "python",
            "limit_request_line": 8190,
            "limit_request_field_size": 16380,
            "when_ready": self._print_address,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def _print_address(self, _: object) -> None:
        """Write the address to the terminal. Without one both outputs are the log of programs."""
        serve = self._config.serve
        if not sys.stderr.isatty():
            return
        where = f"at {serve.bind}, {serve.workers} workers of {serve.threads} threads"
        sys.stderr.write(f"broker {RELEASE} serves {self._config.base_url} {where}\n")
        if not serve.proxies:
            sys.stderr.write(_WITHOUT_PROXY)

    def load(self) -> Any:
        """Make the application, in the worker.

        gunicorn would stop all workers if one of them cannot load it (a worker died while a file
        was half copied). End this worker with a code for which gunicorn starts another one.
        """
        metrics.count_in_files(self._config.state / metrics.FOLDER, str(os.getpid()))
        try:
            return ReloadingApplication(self._config)
        except BrokerError as error:
            _log_faults(EventKind.WORKER_WAITS, error)
            time.sleep(_RETRY_AFTER_S)
            raise SystemExit(1) from None

    def read_again(self) -> bool:
        """Read the configuration again; log its faults and return False if it cannot be served."""
        try:
            self._config = assembly.finish_reload(partial(read_checked, self._read))
        except BrokerError as error:
            _log_faults(EventKind.RELOAD_REFUSED, error)
            return False
        _log_event(BrokerEvent(EventKind.CONFIGURATION_RELOADED))
        return True


class _ReloadingArbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's arbiter, which keeps its workers if the new configuration is faulty."""

    def handle_hup(self) -> None:
        """Replace the workers if the configuration can be served."""
        if self.app.read_again():
            super().handle_hup()


class QuietLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's errors as lines of our log.

    The text of exceptions is left out: it holds addresses with SAML messages.
    """

    def setup(self, cfg: Any) -> None:
        """Send gunicorn's errors to our log instead of to standard error."""
        super().setup(cfg)
        self.error_log.handlers[:] = [_ServerLines()]

    def exception(self, *_: object, **__: object) -> None:
        """Log the type of an exception and where it was raised."""
        error = sys.exc_info()[1]
        if error is not None:
            application_log.log_unexpected(error, "server")


class _ServerLines(logging.Handler):
    """Logs what gunicorn reports about its workers."""

    def emit(self, record: logging.LogRecord) -> None:
        application_log.log_event("server", level="error", text=record.getMessage())


def read_checked(read: Callable[[], Config]) -> Config:
    """Read a configuration and open everything that it names once.

    This creates what must exist before workers are forked (the store's file). Raises BrokerError if
    the configuration cannot be served.
    """
    config = read()
    readiness.fit_to_serve(assembly.assemble(config))
    return config


def _log_faults(kind: EventKind, error: BrokerError) -> None:
    for event in readiness.describe_faults(kind, error):
        _log_event(event)


class ReloadingApplication:
    """The broker below the path of base_url, with a thread that calls ``refresh`` every second.

    The first request starts the thread: threads do not survive the fork of a server that loads the
    application before it forks.
    """

    def __init__(self, config: Config | None = None) -> None:
        """Make the application. Raises BrokerError if the configuration cannot be served.

        ``config`` is read from the environment if None.
        """
        application = create_app(config)
        self.parts: assembly.Parts = application.extensions["broker"]
        readiness.fit_to_serve(self.parts)
        self._application: WSGIApplication = application
        if path := urlsplit(self.parts.config.base_url).path:
            self._application = DispatcherMiddleware(NotFound(), {path: application})
        never = Event()
        report = partial(application_log.log_unexpected, reference="reload")
        steps = [partial(refresh, self.parts), FleetReport(self.parts, "serve").step]
        arguments = (steps, never, never.is_set, _REFRESH_EVERY_S, report)
        self._reloading = Thread(target=run_worker_loop, args=arguments, name="reload", daemon=True)
        self._first_request = Lock()  # taken once, never released
        gc.collect()
        gc.freeze()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a request."""
        if self._first_request.acquire(blocking=False):
            self.parts.last_reload.at = assembly.now()
            self._reloading.start()
        return self._application(environ, start_response)


def refresh(parts: assembly.Parts) -> None:
    """Apply changed policies and metadata from disk; called by one thread at a time.

    ``broker work`` fetches feeds and writes the copies that are read here.
    """
    now = assembly.now()
    before = parts.policies.current, parts.metadata.snapshot
    with pause_garbage_collection():
        parts.policies.refresh(now)
        parts.metadata.read_changes(now)
        parts.metrics.count_dropped()
    if (parts.policies.current, parts.metadata.snapshot) != before:
        # Policies and metadata exist for long: exclude them from garbage collection.
        gc.freeze()
    parts.last_reload.at = assembly.now()
