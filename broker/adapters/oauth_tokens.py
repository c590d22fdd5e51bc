"""OAuth 2 client credentials grant (RFC 6749 4.4): one token for all threads."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from broker.adapters.http_exchange import Exchange, HttpAnswer
from broker.core.errors import BrokerError

_MARGIN_S: Final = 60.0
_UNSTATED_S: Final = 300.0
_LONGEST_S: Final = 86_400


class Cause(NamedTuple):
    """Why no token is granted, and the setting at fault."""

    sentence: str
    setting: str


Causes = Mapping[tuple[int, str], Cause]


class NoToken(Protocol):
    """The error for a refused token."""

    def __call__(self, cause: str, setting: str | None = None) -> BrokerError:
        """Return the error; ``setting`` is the one at fault, None if it is not known."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class OauthClient:
    """A client of a token endpoint; without a secret its certificate identifies it (RFC 8705).

    ``causes`` are the refusals that the endpoint distinguishes, by status and error code.
    """

    id: str
    secret: str
    causes: Causes
    unavailable: NoToken


class AccessTokens:
    """Fetches and caches the bearer token of a client."""

    def __init__(self, exchange: Exchange, path: str, client: OauthClient) -> None:
        self._exchange = exchange
        self._path = path
        self._client = client
        self._unavailable = client.unavailable
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def __repr__(self) -> str:
        """Show the endpoint, but no secret or token."""
        return f"AccessTokens({self._path!r})"

    def current(self, until: float, refused: str = "") -> str:
        """Return a valid token other than the ``refused`` one.

        ``until`` is a moment of ``time.monotonic``. Raise ``unavailable`` if there is none by then.
        Refused credentials are a fault of the set-up, which another try may not meet.
        """
        seconds = max(0.0, until - time.monotonic())
        if not self._lock.acquire(timeout=seconds):
            raise self._unavailable("no token: another thread is still waiting for it")
        try:
            if self._token in {"", refused} or time.monotonic() >= self._renew_at:
                self._fetch(until)
            return self._token
        finally:
            self._lock.release()

    def _fetch(self, until: float) -> None:
        form = {"grant_type": "client_credentials", "client_id": self._client.id}
        if self._client.secret:
            form["client_secret"] = self._client.secret
        answer = self._exchange.call(
            "POST",
            self._path,
            until,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        token, lifetime = self._read_grant(answer)
        self._token = token
        self._renew_at = time.monotonic() + max(lifetime - _MARGIN_S, lifetime / 2)

    def _read_grant(self, answer: HttpAnswer) -> tuple[str, float]:
        """Return the token and its lifetime in seconds."""
        grant: Any = answer.json()
        if answer.status != 200 or not isinstance(grant, dict):
            raise self._make_refusal(answer.status, grant)
        token = grant.get("access_token")
        if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
            raise self._unavailable("no token: 200 without a token that can be sent")
        seconds = grant.get("expires_in")
        # Huge numbers and infinity cannot be added to a time.
        if isinstance(seconds, int | float) and 0 < seconds <= _LONGEST_S:
            return token, float(seconds)
        return token, _UNSTATED_S

    def _make_refusal(self, status: int, grant: Any) -> BrokerError:
        error = grant.get("error") if isinstance(grant, dict) else None
        cause = self._client.causes.get((status, str(error)))
        if cause is None:
            return self._unavailable(f"no token: {status}")
        sentence = cause.sentence.format(client_id=self._client.id)
        return self._unavailable(f"no token: {status}: {sentence}", cause.setting)
