"""One call to Koha's REST API: with a token, by a deadline, and no answer that means "not now" passed on."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broker.adapters.libraries import koha_answers as answers
from broker.adapters.libraries.exchange import Exchange, HttpAnswer, moment
from broker.adapters.libraries.tokens import AccessTokens
from broker.core.errors import LibraryUnavailable

_NOT_NOW = frozenset({401, 408, 429})


class RightMissing(LibraryUnavailable):
    """Koha's 403: a fault of the set-up and no refusal of anyone's enrolment, so worth another try once mended."""


class Calls:
    """Calls one Koha as one of its API clients; safe to share between threads."""

    def __init__(
        self, exchange: Exchange, client_id: str, client_secret: str, timeout: float
    ) -> None:
        self._exchange = exchange
        self._tokens = AccessTokens(exchange, "/api/v1/oauth/token", client_id, client_secret)
        self._timeout = timeout

    def call(
        self,
        asked: str,
        method: str,
        path: str,
        deadline: datetime,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """Give the answer, a success or a refusal of what was ``asked``; ``LibraryUnavailable`` otherwise.

        A 5xx says nothing about whether it was done: the enrolment looks again, by mark and by CPR.
        """
        until = moment(deadline, self._timeout)
        content = None if body is None else json.dumps(body).encode()
        answer = self._send(method, path, until, headers or {}, content)
        if answer.status == 403:
            raise RightMissing(f"{asked}: 403, a right is missing: {answers.unpermitted(answer)}")
        if answer.status in _NOT_NOW or not (
            200 <= answer.status < 300 or 400 <= answer.status < 500
        ):
            raise LibraryUnavailable(f"{asked}: {answer.status}")
        return answer

    def _send(
        self, method: str, path: str, until: float, headers: Mapping[str, str], body: bytes | None
    ) -> HttpAnswer:
        """Send with a token; once more with a new one where Koha refuses the first, which it does before any work."""
        sent = dict(headers) | ({} if body is None else {"Content-Type": "application/json"})
        token = self._tokens.current(until)
        answer = self._exchange.call(method, path, until, headers=_bearing(token, sent), body=body)
        if answer.status != 401:
            return answer
        token = self._tokens.current(until, refused=token)
        return self._exchange.call(method, path, until, headers=_bearing(token, sent), body=body)


def _bearing(token: str, headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"}
