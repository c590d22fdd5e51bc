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
# Fields of a patron whose names may stand in an error's path.
_NAMEABLE: Final = FIELDS | {
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
_MODULE: Final = re.compile("[a-z_]{1,40}")
_OUR_MODULE: Final = "borrowers"
_TIME_OF_DAY: Final = re.compile(r"(?<=^\d{4}-\d\d-\d\d)t.*")
_NAME: Final = re.compile("[a-z_0-9]{1,40}")
# A word that is nobody's name or number: lower case, or one that Koha's sentences begin with.
_WORD: Final = re.compile(r"\[?\(?(?P<bare>[A-Za-z][a-z]*(?:[A-Z][a-z]+)*)(?:'t|'s)?[.,:;!?)\]]*")
_CAPITALISED: Final = frozenset(
    {
        "Cannot",
        "Duplicate",
        "Expected",
        "Given",
        "Internal",
        "Invalid",
        "Koha",
        "Missing",
        "No",
        "Not",
        "Password",
        "Passwords",
        "Patron",
        "Something",
        "The",
        "Unable",
        "Unknown",
        "Wrong",
        "Your",
    }
)


class KnownText(NamedTuple):
    """A text of Koha's: its pattern, the words that are kept, and the setting at fault.

    Both are filled from the pattern's groups and, by name, from the fields that we sent.
    """

    pattern: re.Pattern[str]
    words: str
    setting: str | None = None


def _known(pattern: str, words: str, setting: str | None = None) -> KnownText:
    return KnownText(re.compile(pattern), words, setting)


_TOO_SHORT: Final = re.compile(
    r"\[?Password length \((?P<has>\d{1,3})\) is shorter than required \((?P<least>\d{1,3})\)"
)
_CODE: Final = r"type=(?P<type>\w{1,10})"
_KNOWN: Final = (
    _known(
        r"Given category_id does not exist",
        "Given category_id does not exist: {category_id}",
        "category_id {category_id}",
    ),
    _known(
        r"Given library_id does not exist",
        "Given library_id does not exist: {library_id}",
        "library_id {library_id}",
    ),
    _known(
        rf"Tried to use an invalid attribute type\. {_CODE}",
        "Tried to use an invalid attribute type: {type}",
        "patron attribute type {type}",
    ),
    _known(
        r"Missing mandatory extended attribute \(type=(?P<type>\w{1,10})\)",
        "Missing mandatory extended attribute: {type}",
        "mandatory patron attribute type {type}",
    ),
    _known(
        rf"Tried to add more than one non-repeatable attributes\. {_CODE}",
        "Tried to add more than one non-repeatable attribute: {type}",
    ),
    _known(
        rf"Your action breaks a unique constraint on the attribute\. {_CODE}",
        "Your action breaks a unique constraint on the attribute: {type}",
    ),
    _known(r"Problem with ", "Problem with the user name"),
    KnownText(
        _TOO_SHORT,
        "Password length ({has}) is shorter than required ({least})",
        "minPasswordLength",
    ),
    _known(r"\[?Password is too weak", "Password is too weak", "RequireStrongPassword"),
    _known(r"\[?Password contains leading/trailing", "Password has blanks at its ends"),
    _known(r"The password was rejected by a plugin", "rejected by a plugin", "password plugin"),
)
# Messages of the schema, which hold no value; and whether the field is at fault, not its value.
_SCHEMA: Final = (
    (re.compile(r"Missing property\."), True),
    (re.compile(r"Read-only\."), True),
    (re.compile(r"Expected \w+ - got \w+\."), False),
    (re.compile(r"Does not match [a-z-]+ format\."), False),
    (re.compile(r"(Year|Month|Day) out of range\."), False),
    (re.compile(r"String is too (short|long): \d+/\d+\."), False),
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
    rights = _blotted(", ".join(_rights(answer))) or "unnamed"
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
    for known in _KNOWN:
        if match := known.pattern.match(error):
            return _filled(known, match, sent)
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
    return word[0].islower() or word in _CAPITALISED


def _filled(known: KnownText, match: re.Match[str], sent: Mapping[str, Any]) -> Said:
    """Return a known text with its names; what we sent as category and branch is configuration."""
    names = {
        "category_id": str(sent.get("category_id")),
        "library_id": str(sent.get("library_id")),
        **match.groupdict(),
    }
    words = known.words.format(**names)
    if known.setting is None:
        return Said(words)
    return Said(words, known.setting.format(**names))


def _schema_errors(errors: list[Any], sent: Mapping[str, Any]) -> Said:
    parts = []
    setting = None
    for error in errors[:_MOST_ERRORS]:
        if not isinstance(error, Mapping):
            continue
        message = str(error.get("message"))
        path = str(error.get("path"))
        part = _schema_error(message, path, sent)
        parts.append(part.words)
        setting = setting or part.setting
    return Said("; ".join(parts) or "no reason is given", setting)


def _schema_error(message: str, path: str, sent: Mapping[str, Any]) -> Said:
    if not_allowed := _NOT_ALLOWED.fullmatch(message):
        # The names are those of our own request; a value stands in none.
        return Said(message, f"field {not_allowed[1]}")
    field = path.removeprefix("/body/").partition("/")[0]
    named = f"{field}: " if field in _NAMEABLE else ""
    for pattern, of_the_setup in _SCHEMA:
        if pattern.fullmatch(message):
            if named and of_the_setup:
                return Said(f"{named}{message}", f"field {field}")
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


def _rights(answer: HttpAnswer) -> list[str]:
    """Return the rights of a 403: an object, or in GET /patrons a list of alternatives."""
    alternatives = answer.fields().get("required_permissions")
    if not isinstance(alternatives, list):
        alternatives = [alternatives]
    names: set[str] = set()
    for alternative in alternatives:
        if isinstance(alternative, Mapping):
            names.update(_right(module, part) for module, part in alternative.items())
    # Of several that would do, the one in the module that the broker needs anyhow.
    of_borrowers = {name for name in names if name.startswith(_OUR_MODULE)}
    return sorted((of_borrowers or names) - {""})


def _right(module: object, part: object) -> str:
    if not _MODULE.fullmatch(str(module)):
        return ""
    if isinstance(part, str) and _NAME.fullmatch(part) and part != "1":
        return f"{module}: {part}"
    return str(module)
