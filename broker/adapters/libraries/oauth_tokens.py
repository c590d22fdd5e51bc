"""The OAuth 2 client credentials grant (RFC 6749 4.4): one token for all threads."""

import threading
import time
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from broker.adapters.libraries.http_exchange import Exchange, HttpAnswer
from broker.core.errors import LibraryUnavailable

_MARGIN_S: Final = 60.0
_UNSTATED_S: Final = 300.0


class Cause(NamedTuple):
    """Why no token is granted, and the setting that is at fault."""

    sentence: str
    setting: str


_CAUSES: Final = {
    (403, "unauthorized_client"): Cause("no API key has the id {client_id}", "library.client_id"),
    (403, "access_denied"): Cause(
        "the secret is not that of the API key {client_id}", "library.client_secret"
    ),
    (400, "Unimplemented grant type"): Cause(
        "RESTOAuth2ClientCredentials is off, or Koha's database is down",
        "RESTOAuth2ClientCredentials",
    ),
}


class AccessTokens:
    """Fetches the bearer token of one client at one token endpoint."""

    def __init__(
        self,
        exchange: Exchange,
        path: str,
        client_id: str,
        client_secret: str,
    ) -> None:
        self._exchange = exchange
        self._path = path
        self._client_id = client_id
        self._client_secret = client_secret
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def __repr__(self) -> str:
        """Show the endpoint, neither secret nor token."""
        return f"AccessTokens({self._path!r})"

    def current(self, until: float, refused: str = "") -> str:
        """Return a token that is good for now and is not the ``refused`` one.

        ``until`` is a moment of ``time.monotonic``. LibraryUnavailable where there is none by then:
        credentials that are refused are a fault of the set-up, not of anyone's enrolment, and worth
        another try.
        """
        seconds = max(0.0, until - time.monotonic())
        if not self._lock.acquire(timeout=seconds):
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
        token, lifetime = _granted(answer, self._client_id)
        self._token = token
        self._renew_at = time.monotonic() + max(lifetime - _MARGIN_S, lifetime / 2)


def _granted(answer: HttpAnswer, client_id: str) -> tuple[str, float]:
    """Return the token and its lifetime in seconds; LibraryUnavailable where none was granted."""
    grant: Any = answer.json()
    if answer.status != 200 or not isinstance(grant, dict):
        raise _not_granted(answer.status, grant, client_id)
    token = grant.get("access_token")
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
        raise LibraryUnavailable("no token: 200 without a token that can be sent")
    seconds = grant.get("expires_in")
    if isinstance(seconds, int | float) and seconds > 0:
        return token, float(seconds)
    return token, _UNSTATED_S


def _not_granted(status: int, grant: Any, client_id: str) -> LibraryUnavailable:
    """Return the error with the cause, of those that Koha tells apart.

    Source: docs/reference/koha.md#credentials.
    """
    error = grant.get("error") if isinstance(grant, dict) else None
    cause = _CAUSES.get((status, str(error)))
    if cause is None:
        return LibraryUnavailable(f"no token: {status}")
    sentence = cause.sentence.format(client_id=client_id)
    return LibraryUnavailable(f"no token: {status}: {sentence}", cause.setting)
