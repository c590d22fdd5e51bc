"""Calls of Koha's REST API with an access token, its paths, and its queries."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from broker.adapters.http_exchange import Exchange, HttpAnswer, moment
from broker.adapters.library_systems import koha_refusals
from broker.adapters.library_systems.koha_settings import KohaKeys
from broker.adapters.oauth_tokens import AccessTokens, Cause, OauthClient
from broker.core.borrowers.library_system import LibraryCallObserver
from broker.core.errors import (
    CallNotMade,
    CallNotSent,
    LibraryRefused,
    LibrarySilent,
    LibraryUnavailable,
)

PATRONS: Final = "/api/v1/patrons"
_TOKEN_PATH: Final = "/api/v1/oauth/token"  # noqa: S105 - an address
# Those that Koha tells apart: docs/reference/koha.md#credentials.
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
_OWN_WORDS: Final = frozenset({"error", "errors"})  # of Koha's refusals; a proxy's 404 has none
_PATRON_ID: Final = re.compile(r"[1-9][0-9]{0,9}")
# For every create: a namesake is another person, because possible duplicates were searched before,
# and the broker sends the welcome mail. Releases that know neither header ignore them.
CREATE_HEADERS: Final = {
    "x-confirm-not-duplicate": "1",
    "x-koha-override": "welcome_no,opac_reg_no",
}
_EMBED_ATTRIBUTES: Final = {"x-koha-embed": "extended_attributes"}

Query = Mapping[str, Any]  # of Koha's REST API, an object: a list is refused in a body


class Calls:
    """Calls one Koha as one of its API clients; safe to share between threads."""

    def __init__(self, settings: KohaKeys, observe: LibraryCallObserver) -> None:
        secret = settings.client_secret.get_secret_value()
        self._exchange = Exchange(
            settings.url,
            settings.ca_file,
            unavailable=LibrarySilent,
            unsent=CallNotSent,
            busy=CallNotMade,
            connections=settings.connections,
        )
        client = OauthClient(settings.client_id, secret, _NO_TOKEN, CallNotMade)
        self._tokens = AccessTokens(self._exchange, _TOKEN_PATH, client)
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
        """Return the answer, a success or a refusal of ``operation``; LibraryUnavailable otherwise.

        CallNotMade where nothing was sent. ``also`` is one more status that the operation reads
        itself. A 5xx does not reveal whether it was done: the enrolment looks again, by mark and
        by CPR.
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

    def _send(
        self,
        method: str,
        path: str,
        until: float,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> HttpAnswer:
        """Send with a token, and with a new one where Koha refuses the first before any work."""
        sent = dict(headers)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        token = self._token(until)
        sent["Authorization"] = f"Bearer {token}"
        answer = self._exchange.call(method, path, until, headers=sent, body=content)
        if answer.status != 401:
            return answer
        token = self._token(until, token)
        sent["Authorization"] = f"Bearer {token}"
        return self._exchange.call(method, path, until, headers=sent, body=content)

    def _token(self, until: float, refused: str = "") -> str:
        """Return a token that is not the ``refused`` one; CallNotMade where there is none."""
        try:
            return self._tokens.current(until, refused)
        except LibraryUnavailable as error:
            is_silent = isinstance(error, LibrarySilent)
            failed = CallNotSent if is_silent else CallNotMade
            raise failed(str(error), error.setting) from error


def _demand_verdict(answer: HttpAnswer, operation: str, body: Mapping[str, Any] | None) -> None:
    if answer.status == 403:
        raise koha_refusals.make_missing_right(answer, operation)
    family = answer.status // 100
    is_own = answer.status != _NOT_FOUND or bool(_OWN_WORDS & answer.fields().keys())
    if answer.status in _NOT_NOW or family not in _VERDICTS or not is_own:
        raise koha_refusals.make_unavailable(answer, operation, body)


def is_possible_number(number: str) -> bool:
    """Return whether the number can be a ``patron_id``."""
    return bool(_PATRON_ID.fullmatch(number))


def patron_path(number: str) -> str:
    """Return the path of one patron; LibraryRefused where the number cannot be a ``patron_id``."""
    if not is_possible_number(number):  # a CPR taken for a number could otherwise stand in a URL
        raise LibraryRefused("no patron has such a number")
    return f"{PATRONS}/{number}"


def query_fields(fields: Sequence[str], values: Sequence[str]) -> Query:
    """Return the query for one of ``values`` in any of ``fields``: a list is "or".

    Source: docs/reference/koha.md#search.
    """
    queries = [{field: list(values)} for field in fields]
    if len(queries) == 1:
        return queries[0]
    return {"-or": queries}


def query_attribute(kind: str, spelled: Sequence[str]) -> Query:
    """Return the query for a CPR in the extended attribute ``kind``.

    It needs the embed header, or Koha answers 500.
    """
    return {"extended_attributes.code": kind, "extended_attributes.value": list(spelled)}


def make_embed_header(kind: str) -> dict[str, str]:
    """Return the header by which an answer brings extended attributes; none without a ``kind``."""
    return dict(_EMBED_ATTRIBUTES) if kind else {}
