"""Runs the application under gunicorn, with the loop of enrolments started in each worker after the fork."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gunicorn.app.base import BaseApplication
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from broker import app, audit, inspection, parts
from broker.config import Config

# Beside a wake-up from its own worker, how long a wish written elsewhere may lie.
_IDLE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Mounted:
    """The application where base_url says, and the parts it is made of."""

    application: WSGIApplication
    parts: parts.Parts

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self.application(environ, start_response)


class Served(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn over our configuration; nothing is read from its own files or environment."""

    def __init__(self, config: Config) -> None:
        """Take a checked configuration."""
        self.config = config
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
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
            "preload_app": False,
            "limit_request_line": 8190,
            "limit_request_field_size": 16380,
            "post_worker_init": _start_loop,
            "worker_exit": _end_loop,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application in the worker, so that HUP brings a new one."""
        made = app.create_app(self.config)
        path = urlsplit(self.config.base_url).path
        # Below a path the broker sees only what lies below it, as it does when another application mounts it.
        mounted = DispatcherMiddleware(NotFound(), {path: made}) if path else made
        return Mounted(mounted, made.extensions["broker"])


_ending = threading.Event()


def _report(error: Exception) -> None:
    audit.unexpected(error, "enrolments")


def _start_loop(worker: Any) -> None:
    made: parts.Parts = worker.wsgi.parts
    loop = threading.Thread(
        target=made.enrolments.run, args=(_ending.is_set, _IDLE, _report), name="enrolments", daemon=True
    )
    loop.start()


def _end_loop(_: Any, worker: Any) -> None:
    _ending.set()
    wsgi = getattr(worker, "wsgi", None)
    if wsgi is not None:
        wsgi.parts.wake.set()


def serve(config: Config) -> None:
    """Check everything once, make what must be there before the fork, and serve until told to stop.

    ``ConfigurationFaults`` where the parts do not fit, or the store may lose what it acknowledged.
    """
    inspection.fit_to_serve(parts.assemble(config))
    Served(config).run()
