"""Koha's refusals and failures in its own words, without personal values.

Koha's texts quote card numbers, user names and attributes, also CPR numbers
(docs/reference/koha.md#refusals). Keep only plain English words and the name of the setting.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha.koha_settings import FIELDS
from broker.core.errors import GATEWAY_ERRORS, LibraryRefused, LibrarySilent, LibraryUnavailable
from broker.core.identity import cpr

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


# The plain words of an answer, and the setting that they name.
Described = tuple[str, str | None]


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
