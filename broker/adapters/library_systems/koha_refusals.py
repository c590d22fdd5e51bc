"""What Koha says when it refuses or fails, in its own words, without a value that a person has.

Its texts quote card numbers, user names and attributes, CPR numbers among them
(docs/reference/koha.md#refusals). A text that is known keeps the names of the set-up in it; of any
other only plain English words are kept.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha_settings import FIELDS
from broker.core.errors import GATEWAY_ERRORS, LibraryRefused, LibrarySilent, LibraryUnavailable
from broker.core.identity import cpr

_LEFT_OUT: Final = "…"
_MOST_WORDS: Final = 30
_MOST_ERRORS: Final = 5
# Fields of a patron whose names may stand in an error's path, beside those that a policy writes.
_OTHER_FIELDS: Final = re.compile(
    "category_id|library_id|cardnumber|userid|expiry_date|statistics_[12]|extended_attributes"
    "|password|identifier"
)
_RIGHT: Final = re.compile("[a-z_]{1,40}(: [a-z_0-9]{1,40})?")
_TIME_OF_DAY: Final = re.compile(r"(?<=^\d{4}-\d\d-\d\d)t.*")
# A word that is nobody's name or number: lower case, or one that Koha's sentences begin with.
_WORD: Final = re.compile(r"\[?\(?(?P<bare>[A-Za-z][a-z]*(?:[A-Z][a-z]+)*)(?:'t|'s)?[.,:;!?)\]]*")
_BEGINNING: Final = re.compile(
    "Cannot|Duplicate|Expected|Given|Internal|Invalid|Koha|Missing|No|Not|Passwords?|Patron"
    "|Something|The|Unable|Unknown|Wrong|Your"
)
_CODE: Final = r"type=(\w{1,10})"
# Texts of Koha's: a pattern, the words that are kept, and the setting at fault. ``{0}`` stands for
# the name in the text, ``{sent}`` for the category or branch that was sent.
_KNOWN: Final = (
    ("Given (category_id) does not exist", "Given {0} does not exist: {sent}", "{0} {sent}"),
    ("Given (library_id) does not exist", "Given {0} does not exist: {sent}", "{0} {sent}"),
    (
        rf"Tried to use an invalid attribute type\. {_CODE}",
        "Tried to use an invalid attribute type: {0}",
        "patron attribute type {0}",
    ),
    (
        rf"Missing mandatory extended attribute \({_CODE}\)",
        "Missing mandatory extended attribute: {0}",
        "mandatory patron attribute type {0}",
    ),
    (
        rf"Tried to add more than one non-repeatable attributes\. {_CODE}",
        "Tried to add more than one non-repeatable attribute: {0}",
        None,
    ),
    (
        rf"Your action breaks a unique constraint on the attribute\. {_CODE}",
        "Your action breaks a unique constraint on the attribute: {0}",
        None,
    ),
    ("Problem with ", "Problem with the user name", None),
    (
        r"\[?(Password length \(\d{1,3}\) is shorter than required \(\d{1,3}\))",
        "{0}",
        "minPasswordLength",
    ),
    (r"\[?Password is too weak", "Password is too weak", "RequireStrongPassword"),
    (r"\[?Password contains leading/trailing", "Password has blanks at its ends", None),
    ("The password was rejected by a plugin", "rejected by a plugin", "password plugin"),
)
# Messages of the schema, which hold no value. The first two mean the field, not its value.
_OF_THE_FIELD: Final = frozenset({"Missing property.", "Read-only."})
_OF_THE_VALUE: Final = re.compile(
    r"Expected \w+ - got \w+\.|Does not match [a-z-]+ format\.|(Year|Month|Day) out of range\."
    r"|String is too (short|long): \d+/\d+\."
)
_NOT_ALLOWED: Final = re.compile(r"Properties not allowed: ([a-z_0-9, ]{1,200})\.")


class Said(NamedTuple):
    """The words of an answer that are kept, and the setting that they name, if they name one."""

    words: str
    setting: str | None = None


def refused(
    answer: HttpAnswer, operation: str, sent: Mapping[str, Any] | None = None
) -> LibraryRefused:
    """Return the error for a refusal; ``sent`` is the body that was refused."""
    words, setting = said(answer, sent or {})
    return LibraryRefused(f"{operation}: {answer.status}: {words}", setting)


def unavailable(
    answer: HttpAnswer, operation: str, sent: Mapping[str, Any] | None = None
) -> LibraryUnavailable:
    """Return the error for an answer that says neither yes nor no."""
    words, setting = said(answer, sent or {})
    error = LibrarySilent if answer.status in GATEWAY_ERRORS else LibraryUnavailable
    return error(f"{operation}: {answer.status}: {words}", setting)


def demand_kept(patron: Mapping[str, Any], sent: Mapping[str, Any], operation: str) -> None:
    """Raise LibraryRefused where Koha's answer to a write shows another value than was sent."""
    lost = [
        name
        for name, value in sent.items()
        if isinstance(value, str) and _compared(patron.get(name)) != _compared(value)
    ]
    if lost:
        raise LibraryRefused(f"{operation}: Koha did not store what was sent as {', '.join(lost)}")


def _compared(value: object) -> str:
    """Return a value as it is compared: Koha may trim it, write it in capitals, or add a time."""
    text = "" if value is None else str(value)
    return _TIME_OF_DAY.sub("", text.strip().casefold())


def right_missing(answer: HttpAnswer, operation: str) -> LibraryUnavailable:
    """Return the error for a 403: nobody's enrolment is at fault, so it is worth another try."""
    required = answer.fields().get("required_permissions")
    rights = _blotted(", ".join(_rights(required))) or "unnamed"
    sentence = f"{operation}: 403: the API user lacks a permission: {rights}"
    return LibraryUnavailable(sentence, f"permission {rights}")


def said(answer: HttpAnswer, sent: Mapping[str, Any]) -> Said:
    """Return what Koha says in an answer, as far as it may be kept.

    A pattern may match another text than it was written for, so numbers go last of all.
    """
    words, setting = _named(answer, sent)
    return Said(_blotted(words), _blotted(setting) if setting else None)


def _named(answer: HttpAnswer, sent: Mapping[str, Any]) -> Said:
    fields = answer.fields()
    if not fields:
        return Said(_kind_of(answer))
    errors = fields.get("errors")
    if isinstance(errors, list):
        return _schema_errors(errors, sent)
    error = fields.get("error")
    if not isinstance(error, str):
        return Said("no reason is given")
    for pattern, words, setting in _KNOWN:
        if match := re.match(pattern, error):
            names = match.groups()
            # Category and branch come from the configuration: naming them names no person.
            of_ours = str(sent.get(names[0])) if names else ""
            filled = setting.format(*names, sent=of_ours) if setting else None
            return Said(words.format(*names, sent=of_ours), filled)
    return Said(plain_words(error, sent))


def plain_words(text: str, sent: Mapping[str, Any]) -> str:
    """Return the plain English words of a text, with "…" for everything else.

    Whatever was ``sent`` is left out, in any case, and so is every capitalised word that is none of
    Koha's own: another person's name has stood in no request of ours.
    """
    kept = text
    for value in sorted(_texts(sent), key=len, reverse=True):
        kept = re.sub(re.escape(value), _LEFT_OUT, kept, flags=re.IGNORECASE)
    words = []
    for word in _blotted(kept).split()[:_MOST_WORDS]:
        match = _WORD.fullmatch(word)
        if match and _is_plain(match["bare"]):
            words.append(word)
        else:
            words.append(_LEFT_OUT)
    return " ".join(words)


def _blotted(text: str) -> str:
    return cpr.blotted(text, _LEFT_OUT)


def _is_plain(word: str) -> bool:
    return word[0].islower() or bool(_BEGINNING.fullmatch(word))


def _schema_errors(errors: list[Any], sent: Mapping[str, Any]) -> Said:
    parts = [
        _schema_error(str(error.get("message")), str(error.get("path")), sent)
        for error in errors[:_MOST_ERRORS]
        if isinstance(error, Mapping)
    ]
    setting = next((part.setting for part in parts if part.setting), None)
    return Said("; ".join(part.words for part in parts) or "no reason is given", setting)


def _schema_error(message: str, path: str, sent: Mapping[str, Any]) -> Said:
    if not_allowed := _NOT_ALLOWED.fullmatch(message):
        # The names are those of our own request; a value stands in none.
        return Said(message, f"field {not_allowed[1]}")
    field = path.removeprefix("/body/").partition("/")[0]
    named = f"{field}: " if field in FIELDS or _OTHER_FIELDS.fullmatch(field) else ""
    if message in _OF_THE_FIELD:
        return Said(f"{named}{message}", f"field {field}" if named else None)
    if _OF_THE_VALUE.fullmatch(message):
        return Said(f"{named}{message}")
    return Said(f"{named}{plain_words(message, sent)}")


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


def _kind_of(answer: HttpAnswer) -> str:
    """Name what stands in the place of Koha's JSON: a gateway's page may quote the request."""
    start = answer.body[:200].lstrip().lower()
    if not start:
        return "an empty answer"
    if start.startswith(b"<"):
        return "a page in the place of Koha's answer"
    return "no answer of Koha's"


def _rights(required: object) -> list[str]:
    """Return the rights of a 403: an object, or in GET /patrons a list of alternatives."""
    alternatives = required if isinstance(required, list) else [required]
    objects = (each for each in alternatives if isinstance(each, Mapping))
    names = {_right(*pair) for each in objects for pair in each.items()} - {""}
    # If several permissions would do, name the one in the module that the broker needs anyhow.
    of_borrowers = {name for name in names if name.startswith("borrowers")}
    return sorted(of_borrowers or names)


def _right(module: object, part: object) -> str:
    written = str(module) if part == "1" else f"{module}: {part}"
    return written if _RIGHT.fullmatch(written) else ""
