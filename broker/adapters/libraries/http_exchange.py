"""One HTTP exchange with a library system: bounded in time and size, never redirected, never through a proxy."""

import json
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from broker.adapters.deadline_sockets import end_by, left, time_out
from broker.core.errors import LibraryUnavailable

_LARGEST_ANSWER = 2 * 1024 * 1024
_PIECE = 65_536


class HttpAnswer(NamedTuple):
    """What a library system answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Give the body read as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def moment(deadline: datetime, timeout: float) -> float:
    """Give the moment of ``time.monotonic`` at which a call ends: the deadline, or ``timeout`` seconds from now."""
    return time.monotonic() + min((deadline - datetime.now(UTC)).total_seconds(), timeout)


class _Session(requests.Session):
    """A session that knows no redirects: the library's would read a redirecting answer whole to find its target."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # the library's signature
        return None


class Exchange:
    """Sends requests below one base URL; each thread of each process keeps its own connections.

    ``ca_file`` names the authorities to trust in place of the public ones.
    """

    def __init__(self, base: str, ca_file: str = "") -> None:
        self._base = base.rstrip("/")
        self._verify: bool | str = ca_file or True
        self._mine = threading.local()

    def call(
        self,
        method: str,
        path: str,
        until: float,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> HttpAnswer:
        """Give the answer; ``LibraryUnavailable`` where there is none by ``until``, or it is over 2 MB or coded.

        ``until`` is a moment of ``time.monotonic``. A redirect is an answer like another: following
        it would carry the token and the CPR wherever the answer points.
        """
        end_by(until)
        try:
            return self._exchange(method, path, headers, body)
        except (requests.RequestException, HTTPError, HTTPException, OSError) as error:
            cause = type(error).__name__
        # Raised out here, so that no traceback reaches the failed request, whose headers and body
        # hold the CPR.
        raise LibraryUnavailable(f"no answer: {cause}")

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> HttpAnswer:
        with self._session().request(
            method,
            self._base + path,
            # A compressed answer could grow a thousandfold between the bound and the memory.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
            data=body,
            # A name may stand for two addresses, tried in turn: each gets half of the time.
            timeout=(left() / 2, left()),
            allow_redirects=False,
            stream=True,
            verify=self._verify,
        ) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise HTTPException("coded")
            return HttpAnswer(response.status_code, _bounded(response))

    def _session(self) -> requests.Session:
        if (
            getattr(self._mine, "owner", None) != os.getpid()
        ):  # two processes on one connection mix their answers
            session = _Session()
            session.trust_env = False  # neither proxies nor .netrc of the account we run under
            for scheme in ("http://", "https://"):
                adapter = HTTPAdapter()
                time_out(adapter.poolmanager)
                session.mount(scheme, adapter)
            self._mine.owner, self._mine.session = os.getpid(), session
        kept: requests.Session = self._mine.session
        kept.cookies.clear()
        return kept


def _bounded(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in response.raw.stream(_PIECE, decode_content=False):
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise HTTPException("too large")
        left()
    return bytes(body)
