"""Runs the application under gunicorn, with broker work beside it."""

import gc
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
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

from broker.adapters.telling import application_log, loaded_policies, metrics
from broker.adapters.telling.event_sinks import EventSinks, to_log
from broker.app import assembly, readiness, watched_work
from broker.app.application import create_app
from broker.app.buffering_worker import BufferingWorker
from broker.app.live_reload import LiveReload
from broker.app.work_folder import DISTRIBUTION
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.event_routes import BrokerEvent, EventKind, Sink
from broker.files import durable_files
from broker.files.settings.config import Config

# Seconds that a worker that cannot start waits before another takes its place.
_PAUSE: Final = 5.0
# Workers keep their heartbeat there, unnamed: a slow disk must not kill them.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - no file of a known name is made there
_LISTENING: Final = "LISTEN_FDS"  # set by systemd where a unit has a socket
# Before and between the workers there is no store: what happens there is a line of the log.
_tell = EventSinks({Sink.LOG: to_log(application_log.tell)}).tell


def serve(read: Callable[[], Config], work: Callable[[int], object]) -> None:
    """Serve until told to stop; HUP reads the configuration again, and serves it if it is sound.

    ``work`` is ``broker work`` for the server of a process id; it is run in a child.
    ConfigurationFaults where the parts do not fit, or the store may lose what it acknowledged.
    """
    application_log.configure()
    with suppress(ConfigurationFaults):  # told below, with every other fault
        durable_files.make_state(read().state)
    with metrics.shared(read().state / "metrics"):
        served = Served(read)
        _refuse_used_address(served.config.serve.bind)
        # What every child shares from here on: none looks through it for garbage, nor copies it.
        gc.freeze()
        served.work = watched_work.start(served.config.state, work, served.leave)
        try:
            served.run()
        finally:
            served.work.end()


def _refuse_used_address(bind: str) -> None:
    """Refuse an address that cannot be listened at: gunicorn would try for five seconds."""
    address = parse_address(bind)
    if isinstance(address, str) or _LISTENING in os.environ:
        return  # a file is taken over, and systemd's own socket is listened at already
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            what = f"{bind} cannot be listened at: {error.strerror}"
            mend = "end what listens there, or write another address and port"
            raise ConfigurationFaults([Fault("serve.bind", what, mend)]) from None


@dataclass(frozen=True, slots=True)
class Mounted:
    """The application where base_url says, and the parts it is made of."""

    application: WSGIApplication
    parts: assembly.Parts

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a request."""
        return self.application(environ, start_response)


class Served(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn over our configuration; nothing is read from its own files or environment.

    ``work`` is the ``broker work`` that this process has started and watches.
    """

    work: watched_work.WatchedWork
    arbiter: Arbiter | None = None

    def __init__(self, read: Callable[[], Config]) -> None:
        """Read the configuration by ``read``; ConfigurationFaults where it cannot be served."""
        self.read = read
        self.config = _checked(read)
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options, at the start and at every reload."""
        serve = self.config.serve
        heartbeat = str(_MEMORY) if _MEMORY.is_dir() else None
        options = {
            "bind": [serve.bind],
            "workers": serve.workers,
            "threads": serve.threads,
            "worker_class": BufferingWorker,
            # Those a worker keeps open; with the 1,024 files that a process may open by default it
            # has as many left for itself.
            "worker_connections": 512,
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
            "worker_tmp_dir": heartbeat,
            "preload_app": False,
            # gunicorn believes both from this machine, and so from a stranger whose headers a proxy
            # on it passes on: SCRIPT_NAME would lead past the paths that the proxy keeps closed.
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            # What the tests try: by default one in C is taken wherever it is installed.
            "http_parser": "python",
            "limit_request_line": 8190,
            "limit_request_field_size": 16380,
            "when_ready": self.tell_ready,
            "post_worker_init": _start_reload,
            "worker_exit": _end_reload,
            "child_exit": _drop_metrics,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def tell_ready(self, _: object) -> None:
        """Tell the terminal where it listens; the log, on standard output, is for programs."""
        serve = self.config.serve
        release = version(DISTRIBUTION)
        where = f"at {serve.bind}, {serve.workers} workers of {serve.threads} threads"
        sys.stderr.write(f"broker {release} serves {self.config.base_url} {where}\n")

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
        mounted: WSGIApplication = made
        path = urlsplit(self.config.base_url).path
        if path:
            # Below a path the broker sees only what lies below it, as it does when another
            # application mounts it.
            mounted = DispatcherMiddleware(NotFound(), {path: made})
        return Mounted(mounted, made.extensions["broker"])

    def renew(self) -> bool:
        """Read the configuration again; log its faults and return False if it cannot be served."""
        try:
            self.config = _checked(self.read)
        except BrokerError as error:
            _tell_faults(EventKind.RELOAD_REFUSED, error)
            return False
        _tell(BrokerEvent(EventKind.CONFIGURATION_RELOADED))
        self.work.reload()
        return True

    def run(self) -> None:
        """Serve until told to stop."""
        self.arbiter = _Reloading(self)
        self.arbiter.run()

    def leave(self) -> None:
        """Close, in a child that serves nobody, what this process listens at.

        Else whoever connects after a change of ``serve.bind`` would wait for an answer for ever.
        """
        if self.arbiter is not None:
            for listener in self.arbiter.LISTENERS:
                listener.close()


class _Reloading(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's arbiter, which replaces no worker that serves by one that could not."""

    def handle_hup(self) -> None:
        """Reload, if what would be loaded is sound."""
        if self.app.renew():
            super().handle_hup()

    def manage_workers(self) -> None:
        """Start what has died, every second: web workers, and broker work."""
        super().manage_workers()
        self.app.work.look()


class Terse(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's log, which tells no error by its text: an address holds a SAML message."""

    def exception(self, *_: object, **__: object) -> None:
        """Log the type of an error and where it was raised."""
        error = sys.exc_info()[1]
        if error is not None:
            application_log.unexpected(error, "server")


def _start_reload(worker: Any) -> None:
    worker.reload = LiveReload(worker.wsgi.parts)
    worker.reload.start()


def _end_reload(_: Any, worker: Any) -> None:
    reload = getattr(worker, "reload", None)
    if reload is not None:
        reload.end()


def _drop_metrics(_: Any, worker: Any) -> None:
    try:
        metrics.drop_dead(worker.pid)
        loaded_policies.drop_dead(worker.pid)
    except OSError as error:
        # A full disk must not end the process that replaces workers.
        application_log.unexpected(error, "metrics")


def _checked(read: Callable[[], Config]) -> Config:
    """Read a configuration and open everything it names once.

    What must be there before the fork (the store's file) is made by it, and whom a backup brought
    back is forgotten again. BrokerError where it cannot be served.
    """
    config = read()
    try:
        parse_address(config.serve.bind)
    except RuntimeError:
        fault = Fault("serve.bind", "is no address", "write HOST:PORT, or unix:FILE")
        raise ConfigurationFaults([fault]) from None
    parts = assembly.assemble(config)
    readiness.fit_to_serve(parts)
    return config


def _tell_faults(kind: EventKind, error: BrokerError) -> None:
    faults = [str(error)]
    if isinstance(error, ConfigurationFaults):
        faults = [str(fault) for fault in error.faults]
    for fault in faults:
        _tell(BrokerEvent(kind, {"reason": error.reason, "fault": fault}))
