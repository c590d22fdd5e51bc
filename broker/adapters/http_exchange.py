"""HTTP client for external systems: limited in time and size, without redirects and proxies."""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NewConnectionError

from broker.adapters.deadline_sockets import apply_deadline, seconds_left, set_deadline
from broker.core.errors import BrokerError, LibraryUnavailable, name_cause

_LARGEST_ANSWER: Final = 2 * 1024 * 1024
_PIECE: Final = 65_536
_IDLE_S: Final = 0.5  # after which an unused connection is closed
# For malformed answers, for example with wrong lengths, the libraries also raise ValueError and
# ArithmeticError.
_NO_ANSWER: Final = (
    requests.RequestException,
    HTTPError,
    HTTPException,
    OSError,
    ValueError,
    ArithmeticError,
)


class HttpAnswer(NamedTuple):
    """Status, body and headers of an answer. Names of headers are not case-sensitive."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})

    def json(self) -> Any:
        """Return the body as JSON, None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def fields(self) -> Mapping[str, Any]:
        """Return the body as a JSON object, empty if it is not one."""
        body = self.json()
        if isinstance(body, Mapping):
            return body
        return {}


def moment(deadline: datetime, timeout: float) -> float:
    """Return the moment of ``time.monotonic`` at which a call ends.

    This is ``deadline`` (aware UTC), or ``timeout`` seconds from now if that is earlier.
    """
    left_s = (deadline - datetime.now(UTC)).total_seconds()
    return time.monotonic() + min(left_s, timeout)


class _Unreadable(HTTPException):
    """Raised for an answer that is too large or compressed."""


class _Session(requests.Session):
    """A session that sees no redirects: for a redirect, requests would read the whole answer."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # the library's signature
        return None


class _Connections:
    """At most ``most`` connections of a process; idle connections are closed.

    Koha under Starman serves one connection per worker and keeps an idle one open for a second, so
    idle connections would block other clients.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, requests.Session]] = []
        self._timer: threading.Timer | None = None

    @contextmanager
    def borrow(self) -> Iterator[requests.Session]:
        """Yield a session for one call. Raises TimeoutError if none is free in time.

        Close a session whose call failed.
        """
        if not self._free.acquire(timeout=seconds_left()):
            raise _NoneFreeError
        try:
            with self._lock:
                session = self._idle.pop()[1] if self._idle else _new_session()
            session.cookies.clear()
            try:
                yield session
            except BaseException:
                session.close()
                raise
            self._keep(session)
        finally:
            self._free.release()

    def _keep(self, session: requests.Session) -> None:
        with self._lock:
            self._idle.append((time.monotonic(), session))
            if self._timer is None:
                self._start_timer()

    def _start_timer(self) -> None:
        self._timer = threading.Timer(_IDLE_S, self._close_idle)
        self._timer.daemon = True
        self._timer.start()

    def _close_idle(self) -> None:
        idle_since = time.monotonic() - _IDLE_S
        with self._lock:
            closing = [session for at, session in self._idle if at <= idle_since]
            self._idle = [(at, session) for at, session in self._idle if at > idle_since]
            self._timer = None
            if self._idle:
                self._start_timer()
        for session in closing:
            session.close()


class _NoneFreeError(TimeoutError):
    """Raised if no connection became free before the deadline."""


class Exchange:
    """Sends requests to a base URL over at most ``connections`` connections per process.

    ``ca_file`` replaces the public authorities, ``client`` names the files of the certificate and
    its key. ``unavailable`` is the error for a missing answer, ``unsent`` for a missing
    connection, and ``busy`` if no connection of the process was free.
    """

    def __init__(
        self,
        base: str,
        ca_file: str = "",
        client: tuple[str, str] | None = None,
        unavailable: type[BrokerError] = LibraryUnavailable,
        unsent: type[BrokerError] | None = None,
        *,
        busy: type[BrokerError] | None = None,
        connections: int = 2,
    ) -> None:
        self._base = base.rstrip("/")
        self._verify: bool | str = ca_file or True
        self._client = client
        self._unavailable = unavailable
        self._unsent = unsent or unavailable
        self._busy = busy or self._unsent
        self._most = connections
        # By process: processes must not share a connection after a fork.
        self._pools: dict[int, _Connections] = {}

    def call(
        self,
        method: str,
        path: str,
        until: float,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """Return the answer to one request, which carries ``body`` or an object as JSON.

        ``until`` is a moment of ``time.monotonic``. Raise ``unavailable`` if there is no answer by
        then, or it is over 2 MB or compressed. A redirect is returned and not followed, because it
        would carry the token and the CPR number to another host.
        """
        set_deadline(until)
        failed = self._unavailable
        try:
            return self._exchange(method, path, headers, body, json)
        except _Unreadable as error:
            cause = str(error)
        except _NO_ANSWER as error:
            cause = name_cause(error)
            if isinstance(error, _NoneFreeError):
                failed = self._busy
            elif _was_never_sent(error):
                failed = self._unsent
        # Raise outside ``except``, so that no traceback shows the request with the CPR number.
        raise failed(f"no answer: {cause}")

    def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        json: Mapping[str, Any] | None,
    ) -> HttpAnswer:
        pool = self._pools.setdefault(os.getpid(), _Connections(self._most))
        with (
            pool.borrow() as session,
            session.request(
                method,
                self._base + path,
                # A compressed answer could grow a thousandfold after the size was checked.
                headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                data=body,
                json=json,
                # A host name may have two addresses, which are tried in turn.
                timeout=(seconds_left() / 2, seconds_left()),
                # ``_Session`` follows no redirect either; this is a second protection.
                allow_redirects=False,
                stream=True,
                verify=self._verify,
                cert=self._client,
            ) as response,
        ):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _Unreadable("it is compressed")
            return HttpAnswer(response.status_code, _read_bounded(response), response.headers)


def _new_session() -> requests.Session:
    session = _Session()
    session.trust_env = False  # ignore proxies and .netrc of the user
    for scheme in ("http://", "https://"):
        adapter = HTTPAdapter()
        apply_deadline(adapter.poolmanager)
        session.mount(scheme, adapter)
    return session


def _was_never_sent(error: Exception) -> bool:
    """Return whether no connection was made. A connection that broke may have sent the request."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def _read_bounded(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in response.raw.stream(_PIECE, decode_content=False):
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise _Unreadable("it is over 2 MB")
        seconds_left()  # raises TimeoutError after the deadline
    return bytes(body)
