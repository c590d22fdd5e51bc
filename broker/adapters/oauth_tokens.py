"""OAuth 2 client credentials grant (RFC 6749 4.4): one token for all threads."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from pydantic import SecretStr

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


@dataclass(slots=True, repr=False)
class AccessTokens:
    """Fetches and caches the bearer token of the client ``client_id``.

    Without a secret its certificate identifies it (RFC 8705). ``causes`` are the refusals that the
    endpoint distinguishes, by status and error code. ``unavailable`` is the error without a token;
    its second argument is the setting at fault.
    """

    exchange: Exchange
    path: str
    client_id: str
    secret: SecretStr
    causes: Causes
    unavailable: Callable[..., BrokerError]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _token: str = ""
    _renew_at: float = 0.0

    def __repr__(self) -> str:
        """Show the endpoint, but no secret or token."""
        return f"AccessTokens({self.path!r})"

    def send(self, call: Callable[[str], HttpAnswer], until: float) -> HttpAnswer:
        """Call with the header of a token, and again with a new one if it is refused (401)."""
        token = self.current(until)
        answer = call(f"Bearer {token}")
        if answer.status != 401:
            return answer
        return call(f"Bearer {self.current(until, token)}")

    def current(self, until: float, refused: str = "") -> str:
        """Return a valid token other than the ``refused`` one.

        ``until`` is a moment of ``time.monotonic``. Raise ``unavailable`` if there is none by then.
        Refused credentials are a fault of the set-up, which another try may not meet.
        """
        seconds = max(0.0, until - time.monotonic())
        if not self._lock.acquire(timeout=seconds):
            raise self.unavailable("no token: another thread is still waiting for it")
        try:
            if self._token in {"", refused} or time.monotonic() >= self._renew_at:
                self._fetch(until)
            return self._token
        finally:
            self._lock.release()

    def _fetch(self, until: float) -> None:
        form = {"grant_type": "client_credentials", "client_id": self.client_id}
        if secret := self.secret.get_secret_value():
            form["client_secret"] = secret
        answer = self.exchange.call(
            "POST",
            self.path,
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
            raise self.unavailable("no token: 200 without a token that can be sent")
        seconds = grant.get("expires_in")
        # Huge numbers and infinity cannot be added to a time.
        if isinstance(seconds, int | float) and 0 < seconds <= _LONGEST_S:
            return token, float(seconds)
        return token, _UNSTATED_S

    def _make_refusal(self, status: int, grant: Any) -> BrokerError:
        error = grant.get("error") if isinstance(grant, dict) else None
        cause = self.causes.get((status, str(error)))
        if cause is None:
            return self.unavailable(f"no token: {status}")
        sentence = cause.sentence.format(client_id=self.client_id)
        return self.unavailable(f"no token: {status}: {sentence}", cause.setting)
