"""Calls of Koha's REST API with an access token, its paths, and its queries."""

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer, moment
from broker.adapters.library_systems.koha import koha_refusals
from broker.adapters.library_systems.koha.koha_settings import KohaKeys
from broker.adapters.oauth_tokens import AccessTokens, Cause
from broker.core.borrowers.library_system import LibraryCallObserver
from broker.core.errors import CallNotMade, CallNotSent, LibraryRefused

PATRONS: Final = "/api/v1/patrons"
_TOKEN_PATH: Final = "/api/v1/oauth/token"  # noqa: S105 - an address
# Refusals that Koha distinguishes: docs/reference/koha.md#credentials.
_NO_TOKEN: Final = {
    (403, "unauthorized_client"): Cause("no API key has the id {client_id}", "library.client_id"),
    (403, "access_denied"): Cause(
        "the secret is not that of the API key {client_id}", "library.client_secret"
    ),
    (400, "Unimplemented grant type"): Cause(
        "RESTOAuth2ClientCredentials is off, or Koha's database is down",
        "RESTOAuth2ClientCredentials",
    ),
}
_NOT_NOW: Final = frozenset({401, 408, 429})
_VERDICTS: Final = frozenset({2, 4})  # the first digits of "done" and "refused"
_NOT_FOUND: Final = 404
_OWN_WORDS: Final = frozenset({"error", "errors"})  # fields of Koha's refusals, not of a proxy's
_PATRON_ID: Final = re.compile(r"[1-9][0-9]{0,9}")
# For every create: accept namesakes, because possible duplicates were searched before, and send no
# welcome mail. Older releases ignore unknown headers.
_CREATE_HEADERS: Final = {
    "x-confirm-not-duplicate": "1",
    "x-koha-override": "welcome_no,opac_reg_no",
}
EMBED_ATTRIBUTES: Final = {"x-koha-embed": "extended_attributes"}

Query = Mapping[str, Any]  # of Koha's REST API; it refuses a list as a body


class Calls:
    """Calls a Koha as one of its API clients; threads may share it."""

    def __init__(self, settings: KohaKeys, observe: LibraryCallObserver) -> None:
        self._exchange = settings.open_exchange()
        self._tokens = AccessTokens(
            # Without a token no patron request is sent, so that a retry is safe.
            settings.open_exchange(CallNotSent),
            _TOKEN_PATH,
            settings.client_id,
            settings.client_secret,
            _NO_TOKEN,
            CallNotMade,
        )
        self._timeout = settings.timeout
        self._observe = observe

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: datetime,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        also: int | None = None,
    ) -> HttpAnswer:
        """Return the answer, a success or a refusal of ``operation``.

        ``also`` is another status that the operation handles. Raises CallNotMade if nothing was
        sent, and LibraryUnavailable for any other answer. After a 5xx it is unknown whether the
        call was carried out.
        """
        began = time.monotonic()
        outcome = "unavailable"
        try:
            until = moment(deadline, self._timeout)
            answer = self._send(method, path, until, headers or {}, body)
            if answer.status != also:
                _demand_verdict(answer, operation, body)
            outcome = "done" if answer.status < 300 else "refused"
            return answer
        finally:
            self._observe(operation, outcome, time.monotonic() - began)

    def create(
        self,
        operation: str,
        body: Mapping[str, Any],
        deadline: datetime,
        *,
        also: int | None = None,
    ) -> HttpAnswer:
        """Return the answer to a create of a patron; ``also`` as in ``call``."""
        headers = _CREATE_HEADERS
        return self.call(
            operation, "POST", PATRONS, deadline, headers=headers, body=body, also=also
        )

    def _send(
        self,
        method: str,
        path: str,
        until: float,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> HttpAnswer:
        """Send with a token, and again with a new one if Koha refuses it before any work."""

        def send(authorization: str) -> HttpAnswer:
            sent = {**headers, "Authorization": authorization}
            return self._exchange.call(method, path, until, headers=sent, json=body)

        return self._tokens.send(send, until)


def _demand_verdict(answer: HttpAnswer, operation: str, body: Mapping[str, Any] | None) -> None:
    if answer.status == 403:
        raise koha_refusals.make_missing_permission(answer, operation)
    family = answer.status // 100
    is_own = answer.status != _NOT_FOUND or bool(_OWN_WORDS & answer.fields().keys())
    if answer.status in _NOT_NOW or family not in _VERDICTS or not is_own:
        raise koha_refusals.make_unavailable(answer, operation, body)


def patron_path(number: str) -> str:
    """Return the path of a patron.

    Raises LibraryRefused if the number cannot be a ``patron_id``.
    """
    if not _PATRON_ID.fullmatch(number):  # no CPR number may get into a URL
        raise LibraryRefused("no patron has such a number")
    return f"{PATRONS}/{number}"
