"""The OAuth 2 client credentials grant (RFC 6749 4.4): one token for all threads, renewed before it expires."""

import threading
import time
from urllib.parse import urlencode

from broker.adapters.libraries.http_exchange import Exchange
from broker.core.errors import LibraryUnavailable

_MARGIN_S = 60.0
_UNSTATED_S = 300.0


class AccessTokens:
    """Fetches the bearer token of one client at one token endpoint."""

    def __init__(self, exchange: Exchange, path: str, client_id: str, client_secret: str) -> None:
        self._exchange = exchange
        self._path = path
        self._client_id = client_id
        self._client_secret = client_secret
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def __repr__(self) -> str:
        """Show the endpoint, neither secret nor token."""
        return f"Tokens({self._path!r})"

    def current(self, until: float, refused: str = "") -> str:
        """Give a token that is good for now and is not the ``refused`` one; ``LibraryUnavailable`` without.

        Credentials that are refused are a fault of the set-up, not of anyone's enrolment: worth
        another try.
        """
        if not self._lock.acquire(timeout=max(0.0, until - time.monotonic())):
            raise LibraryUnavailable("no token: another thread is still waiting for it")
        try:
            if self._token in {"", refused} or time.monotonic() >= self._renew_at:
                self._fetch(until)
            return self._token
        finally:
            self._lock.release()

    def _fetch(self, until: float) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        answer = self._exchange.call(
            "POST",
            self._path,
            until,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        read = answer.json()
        token = read.get("access_token") if isinstance(read, dict) else None
        if (
            answer.status != 200
            or not isinstance(token, str)
            or not (token.isascii() and token.isprintable())
        ):
            raise LibraryUnavailable(f"no token: {answer.status}")
        seconds = read.get("expires_in")
        known = isinstance(seconds, int | float) and seconds > 0
        lifetime = float(seconds) if known else _UNSTATED_S
        self._token, self._renew_at = (
            token,
            time.monotonic() + max(lifetime - _MARGIN_S, lifetime / 2),
        )
