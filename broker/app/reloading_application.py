"""The WSGI application that applies changed policies and metadata while it serves."""

import gc
from collections.abc import Iterable
from threading import Event, Lock, Thread
from typing import Final, Self
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from broker.adapters.telling import application_log
from broker.app import readiness
from broker.app.application import create_app
from broker.app.assembly import Parts
from broker.app.live_reload import refresh
from broker.files.settings.config import Config
from broker.use_cases.worker_loop import run_worker_loop

_REFRESH_EVERY_S: Final = 1.0


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
    application_log.unexpected(error, "reload")
