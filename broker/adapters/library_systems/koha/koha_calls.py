"""Calls of Koha's REST API with an access token, and its refusals in its own words.

Koha's texts quote card numbers, user names and attributes, also CPR numbers
(docs/reference/koha.md#refusals). Keep only plain English words and the name of the setting.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer, moment
from broker.adapters.library_systems.koha.koha_settings import FIELDS, KohaKeys
from broker.adapters.oauth_tokens import AccessTokens, Cause
from broker.core.borrowers.library_setup import LibraryCallObserver
from broker.core.errors import (
    GATEWAY_ERRORS,
    CallNotMade,
    CallNotSent,
    LibraryRefused,
    LibrarySilent,
    LibraryUnavailable,
)
from broker.core.identity import cpr

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
_LEFT_OUT: Final = "…"
_MOST_WORDS: Final = 30
_MOST_ERRORS: Final = 5
# The fields that are named in an error's path; other names are left out.
_NAMED_FIELDS: Final = FIELDS | {
    "category_id",
    "library_id",
    "cardnumber",
    "userid",
    "expiry_date",
    "statistics_1",
    "statistics_2",
    "extended_attributes",
    "password",
    "identifier",
}
_PERMISSION: Final = re.compile(r'"borrowers": "([a-z_]{2,40})"')
# A word that is no name or number: in lower case, or one that begins Koha's sentences.
_WORD: Final = re.compile(r"\[?\(?([A-Za-z][a-z]*(?:[A-Z][a-z]+)*)(?:'t|'s)?[.,:;!?)\]]*")
_KOHA_CAPITALISED_WORDS: Final = re.compile(
    "Cannot|Day|Does|Duplicate|Expected|Given|Internal|Invalid|Koha|Missing|Month|No|Not"
    "|Passwords?|Patron|Problem|Properties|Something|String|The|Tried|Unable|Unknown|Wrong|Year"
    "|Your"
)
_CODE: Final = r"type=(\w{1,10})"
# Beginnings of Koha's texts, and the setting at fault. ``{0}`` is the name in the text, ``{sent}``
# the category or branch that was sent.
_SETTINGS: Final = (
    (r"Given (category_id|library_id) does not exist", "{0} {sent}"),
    (rf"Tried to use an invalid attribute type\. {_CODE}", "patron attribute type {0}"),
    (rf"Missing mandatory extended attribute \({_CODE}\)", "mandatory patron attribute type {0}"),
    (r"\[?Password length", "minPasswordLength"),
    (r"\[?Password is too weak", "RequireStrongPassword"),
    (r"The password was rejected by a plugin", "password plugin"),
    # The schema refused the field, not its value.
    (r"Properties not allowed: ([a-z_, ]{1,200})\.", "field {0}"),
)
_FIELD_ERRORS: Final = frozenset({"Missing property.", "Read-only."})

Query = Mapping[str, Any]  # of Koha's REST API; it refuses a list as a body
# The plain words of an answer, and the setting that they name.
Described = tuple[str, str | None]


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
        raise make_missing_permission(answer, operation)
    family = answer.status // 100
    is_own = answer.status != _NOT_FOUND or bool(_OWN_WORDS & answer.fields().keys())
    if answer.status in _NOT_NOW or family not in _VERDICTS or not is_own:
        raise make_unavailable(answer, operation, body)


def patron_path(number: str) -> str:
    """Return the path of a patron.

    Raises LibraryRefused if the number cannot be a ``patron_id``.
    """
    if not _PATRON_ID.fullmatch(number):  # no CPR number may get into a URL
        raise LibraryRefused("no patron has such a number")
    return f"{PATRONS}/{number}"


# Refusals and failures, without personal values


def make_refusal(
    answer: HttpAnswer, operation: str, sent: Mapping[str, Any] | None = None
) -> LibraryRefused:
    """Return the error for a refusal; ``sent`` is the body that was refused."""
    return LibraryRefused(*_explain(answer, operation, sent or {}))


def make_unavailable(
    answer: HttpAnswer, operation: str, sent: Mapping[str, Any] | None = None
) -> LibraryUnavailable:
    """Return the error for an answer that is neither a success nor a refusal."""
    error = LibrarySilent if answer.status in GATEWAY_ERRORS else LibraryUnavailable
    return error(*_explain(answer, operation, sent or {}))


def make_missing_permission(answer: HttpAnswer, operation: str) -> LibraryUnavailable:
    """Return the error for a 403.

    It is LibraryUnavailable and not LibraryRefused, because a retry succeeds when the permission
    has been granted.
    """
    parts = _PERMISSION.findall(json.dumps(answer.fields().get("required_permissions")))
    permissions = ", ".join(f"borrowers: {part}" for part in sorted(set(parts))) or "borrowers"
    sentence = f"{operation}: 403: the API user lacks a permission: {permissions}"
    return LibraryUnavailable(sentence, f"permission {permissions}")


def _explain(answer: HttpAnswer, operation: str, sent: Mapping[str, Any]) -> Described:
    """Describe Koha's answer in plain words, which may be logged and stored."""
    fields = answer.fields()
    errors = fields.get("errors")
    if not fields:
        parts: list[Described] = [("not an answer of Koha", None)]
    elif isinstance(errors, list):
        parts = [
            _describe(str(error.get("message")), str(error.get("path")), sent)
            for error in errors[:_MOST_ERRORS]
            if isinstance(error, Mapping)
        ]
    else:
        parts = [_describe(str(fields.get("error", "")), "", sent)]
    words = "; ".join(part for part, _ in parts)
    setting = next((setting for _, setting in parts if setting), None)
    return f"{operation}: {answer.status}: {words}", setting


def _describe(text: str, path: str, sent: Mapping[str, Any]) -> Described:
    """Describe one text; ``path`` names the field that it is about, or is ""."""
    words = keep_plain_words(text, sent)
    field = path.removeprefix("/body/").partition("/")[0]
    is_named = field in _NAMED_FIELDS
    if is_named:
        words = f"{field}: {words}"
    if text in _FIELD_ERRORS and is_named:
        return words, f"field {field}"
    for pattern, setting in _SETTINGS:
        if match := re.match(pattern, text):
            # Category and branch come from the configuration, not from a person.
            configured = str(sent.get(match[1])) if match.groups() else ""
            filled = _mask_numbers(setting.format(*match.groups(), sent=configured))
            return f"{filled}: {words}", filled
    return words, None


def keep_plain_words(text: str, sent: Mapping[str, Any]) -> str:
    """Return the plain English words of a text, with "…" for everything else.

    Omit every value that was ``sent``, and every capitalised word that Koha itself does not use: it
    may be another person's name.
    """
    kept = text
    for value in sorted(_texts(sent), key=len, reverse=True):
        kept = re.sub(re.escape(value), _LEFT_OUT, kept, flags=re.IGNORECASE)
    words = []
    for word in _mask_numbers(kept).split()[:_MOST_WORDS]:
        match = _WORD.fullmatch(word)
        is_plain = match and (match[1][0].islower() or _KOHA_CAPITALISED_WORDS.fullmatch(match[1]))
        words.append(word if is_plain or word in _NAMED_FIELDS else _LEFT_OUT)
    return " ".join(words)


def _mask_numbers(text: str) -> str:
    return cpr.mask_numbers(text, _LEFT_OUT)


def _texts(sent: Any) -> Iterator[str]:
    """Yield every text in a body, values of extended attributes included."""
    if isinstance(sent, str):
        if sent.strip():
            yield sent.strip()
    elif isinstance(sent, Mapping):
        for value in sent.values():
            yield from _texts(value)
    elif isinstance(sent, list | tuple):
        for value in sent:
            yield from _texts(value)
