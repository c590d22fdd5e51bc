"""The WSGI application that applies changed policies and metadata while it serves."""

import gc
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Final, Self
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from broker.adapters.observability import application_log, loaded_policies
from broker.app import readiness
from broker.app.application import create_app
from broker.app.assembly import Parts, now
from broker.configuration.settings.config import Config
from broker.configuration.uncollected import uncollected
from broker.use_cases.storage.worker_loop import run_worker_loop

_REFRESH_EVERY_S: Final = 1.0
# Seconds after which a thread that only computes lets another go on. A request lets go of the
# interpreter some twenty times (store, signatures, audit log) and waits so long each time to go on:
# Python's own 5 ms would make it a tenth of a second later while policies are loaded.
_LETS_GO: Final = 0.0002
# A load works for so many seconds and sleeps for as many: it has time, and a request that found it
# at work every time it wanted to go on would take several times as long.
_SHARE: Final = 0.002


class ReloadingApplication:
    """The broker below the path of base_url, with a thread that calls ``refresh`` every second.

    The first request starts the thread: threads do not survive the fork of a server that loads the
    application before it forks.
    """

    def __init__(self, application: WSGIApplication, parts: Parts) -> None:
        """Take the application of ``create_app`` and the parts that it is made of."""
        self._application = application
        path = urlsplit(parts.config.base_url).path
        if path:
            self._application = DispatcherMiddleware(NotFound(), {path: application})
        self._parts = parts
        self._starting = Lock()
        self._thread: Thread | None = None

    @classmethod
    def from_config(cls, config: Config | None = None) -> Self:
        """Make the application; BrokerError if the configuration cannot be served.

        ``config`` is read from the environment if None.
        """
        application = create_app(config)
        parts: Parts = application.extensions["broker"]
        readiness.fit_to_serve(parts)
        gc.collect()
        gc.freeze()
        return cls(application, parts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a request; the first one waits for a refresh."""
        if self._thread is None:
            self._start_thread()
        return self._application(environ, start_response)

    def _start_thread(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            try:
                refresh(self._parts)
            except Exception as error:  # noqa: BLE001 - the thread tries again in a second
                _report(error)
            steps = [lambda: refresh(self._parts)]
            never = Event()
            arguments = (steps, never, never.is_set, _REFRESH_EVERY_S, _report)
            thread = Thread(target=run_worker_loop, args=arguments, name="reload", daemon=True)
            thread.start()
            self._thread = thread


def _report(error: Exception) -> None:
    application_log.log_unexpected(error, "reload")


def refresh(parts: Parts) -> None:
    """Put changed policies and metadata in force; called by one thread at a time.

    Nothing is fetched: ``broker work`` does that, and its copies are read here.
    """
    moment = now()
    policies = parts.policies.current
    snapshot = parts.metadata.snapshot
    with _letting_requests_go_on():
        loaded = parts.policies.refresh(moment, _Sharing())
        loaded_policies.record(loaded.digest)
        parts.metadata.look(moment)
        parts.metrics.count_dropped()
        if parts.policies.current is policies and parts.metadata.snapshot is snapshot:
            return
        # What is in force now lasts: no later collection looks through it, with every request
        # waiting. What is no more in force goes by its count of references all the same.
        gc.freeze()
        if parts.policies.current is not policies:
            old = list(policies.policies)
            del policies
            while old:  # one at a time: a thousand at once would hold up every request
                old.pop()


class _Sharing:
    """Sleeps whenever a load has worked for its share of time."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._began >= _SHARE:
            time.sleep(_SHARE)
            self._began = time.monotonic()


@contextmanager
def _letting_requests_go_on() -> Iterator[None]:
    """Let requests have the interpreter soon, and no collection of what is loaded hold them up.

    One would hold the interpreter for 0.1 s and more while a thousand policies are loaded.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _LETS_GO))
    try:
        with uncollected():
            yield
    finally:
        sys.setswitchinterval(interval)
