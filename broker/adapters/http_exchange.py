"""One HTTP exchange with a peer: bounded in time and size, without redirect or proxy."""

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

from broker.adapters.deadline_sockets import end_by, seconds_left, time_out
from broker.core.errors import BrokerError, LibraryUnavailable

_LARGEST_ANSWER: Final = 2 * 1024 * 1024
_PIECE: Final = 65_536
_IDLE_S: Final = 0.5  # after which an unused connection is closed
# Of what a hostile peer writes, lengths that are no lengths among it, the libraries under us let
# errors of numbers and of text through as they are.
_NO_ANSWER: Final = (
    requests.RequestException,
    HTTPError,
    HTTPException,
    OSError,
    ValueError,
    ArithmeticError,
)


class HttpAnswer(NamedTuple):
    """The status, body and headers of a peer's answer; names of headers in any case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})

    def json(self) -> Any:
        """Return the body read as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def fields(self) -> Mapping[str, Any]:
        """Return the body read as a JSON object; empty where it is none."""
        body = self.json()
        if isinstance(body, Mapping):
            return body
        return {}


def moment(deadline: datetime, timeout: float) -> float:
    """Return the moment of ``time.monotonic`` at which a call ends.

    It is that of ``deadline`` (aware UTC), or ``timeout`` seconds from now if that is earlier.
    """
    left_s = (deadline - datetime.now(UTC)).total_seconds()
    return time.monotonic() + min(left_s, timeout)


class _Unreadable(HTTPException):
    """An answer that is not read to its end; its text is ours."""


class _Session(requests.Session):
    """A session without redirects: the library's would read such an answer whole for its target."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # the library's signature
        return None


class _Connections:
    """At most ``most`` connections of one process; an idle connection is closed.

    A Koha under Starman serves one connection per worker at a time and keeps an idle one open for a
    second, so connections that nobody uses would block other clients.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, requests.Session]] = []
        self._timer: threading.Timer | None = None

    @contextmanager
    def borrow(self) -> Iterator[requests.Session]:
        """Lend a session to one thread for one call; ``TimeoutError`` where none is free in time.

        A session whose call failed is closed.
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
    """All connections were in use until the call had to end."""


class Exchange:
    """Sends requests below one base URL over at most ``connections`` connections per process.

    ``ca_file`` names the authorities to trust in place of the public ones, ``client`` the files of
    our certificate and its key where the peer asks for them. ``unavailable`` is the error of a peer
    that gives no answer, ``unsent`` that of one to which no connection was made, and ``busy`` that
    of a call for which none of our connections was free, if these are others.
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
        # By process: after a fork two processes on one connection would mix their answers.
        self._pools: dict[int, _Connections] = {}

    def call(
        self,
        method: str,
        path: str,
        until: float,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> HttpAnswer:
        """Return the answer to one request.

        ``until`` is a moment of ``time.monotonic``. ``unavailable`` where there is no answer by
        then, or it is over 2 MB or compressed. A redirect is an answer like another: following it
        would carry the token and the CPR wherever the answer points.
        """
        end_by(until)
        failed = self._unavailable
        try:
            return self._exchange(method, path, headers, body)
        except _Unreadable as error:
            cause = str(error)
        except _NO_ANSWER as error:
            cause = type(error).__name__
            if isinstance(error, _NoneFreeError):
                failed = self._busy
            elif _was_never_sent(error):
                failed = self._unsent
        # Raised out here, so that no traceback reaches the failed request, whose headers and body
        # hold the CPR.
        raise failed(f"no answer: {cause}")

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> HttpAnswer:
        pool = self._pools.setdefault(os.getpid(), _Connections(self._most))
        with (
            pool.borrow() as session,
            session.request(
                method,
                self._base + path,
                # A compressed answer could grow a thousandfold between the bound and the memory.
                headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                data=body,
                # A name may stand for two addresses, tried in turn: each gets half of the time.
                timeout=(seconds_left() / 2, seconds_left()),
                # Beside ``_Session``, which finds no redirect: neither may be lost in an upgrade.
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
    session.trust_env = False  # neither proxies nor .netrc of the account we run under
    for scheme in ("http://", "https://"):
        adapter = HTTPAdapter()
        time_out(adapter.poolmanager)
        session.mount(scheme, adapter)
    return session


def _was_never_sent(error: Exception) -> bool:
    """Return whether no connection was made; one that broke may have carried the request."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def _read_bounded(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in response.raw.stream(_PIECE, decode_content=False):
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise _Unreadable("it is over 2 MB")
        seconds_left()
    return bytes(body)
