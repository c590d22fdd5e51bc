"""What Alma says when it refuses or fails, by its codes, without a value that a person has.

The HTTP status of an error decides nothing: whatever is wrong with a user is a 400. The texts quote
identifiers, CPR numbers among them, so that only codes and names of the set-up are kept of them.

Source: docs/alma.md.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from broker.adapters.http_exchange import HttpAnswer
from broker.core.errors import (
    GATEWAY_ERRORS,
    CallNotMade,
    LibraryRefused,
    LibrarySilent,
    LibraryUnavailable,
)

PER_SECOND: Final = "PER_SECOND_THRESHOLD"
DAILY: Final = "DAILY_THRESHOLD"
NOT_FOUND: Final = frozenset({"401861", "401890"})
TAKEN: Final = "401851"
QUOTA: Final = "library.daily_calls"

_CODE: Final = re.compile(r"[A-Z0-9_]{1,40}")
# The gateway before Alma answers in XML whatever was asked for.
_IN_XML: Final = re.compile(rb"<errorCode>\s*([A-Z0-9_]{1,40})\s*</errorCode>")
_BEFORE_XML: Final = b"\xef\xbb\xbf \t\r\n"
_OF_THE_KEY: Final = frozenset({"UNAUTHORIZED", "FORBIDDEN", "INVALID_REQUEST"})
# Failures of Alma's own, of which nothing says that they would come again.
_NOT_NOW: Final = frozenset({"401658", "402119", "GENERAL_ERROR", "INTERNAL_SERVER_ERROR"})
_MISSING: Final = re.compile(r"[^:]{1,60}: *(?P<name>[A-Za-z_][A-Za-z_ ]{0,39})\.?$")
_TYPED: Final = re.compile(r"Given (?P<name>[a-z_ ]{1,30}) type ", re.IGNORECASE)


class _Known(NamedTuple):
    """The words for a code, the setting that it names, and where Alma's text has the name in both.

    ``{group}`` is the user group that we sent, ``{name}`` what the pattern finds.
    """

    words: str
    setting: str | None = None
    pattern: re.Pattern[str] | None = None


_KNOWN: Final[Mapping[str, _Known]] = {
    "401664": _Known("a field is mandatory: {name}", "mandatory field {name}", _MISSING),
    "401676": _Known("the user object is not understood"),
    "401852": _Known("there is no user group {group}", "user_group {group}"),
    "401853": _Known("an internal user has no external_id", "external_id"),
    "401854": _Known("external_id is no SIS profile", "external_id"),
    "401855": _Known("the account type is not taken", "account_type"),
    "401857": _Known("the account type is not taken", "account_type"),
    "401858": _Known("the external_id of a user cannot be changed"),
    "401860": _Known("the user cannot be updated"),
    "401863": _Known("the {name} type does not fit the record type", "{name} type", _TYPED),
    "401864": _Known("the {name} type is not in its code table", "{name} type", _TYPED),
}
_UNNAMED: Final = "of another name"


def code_of(answer: HttpAnswer) -> str | None:
    """Return the code of the first error in an answer; None where it tells of none."""
    first = _first_error(answer)
    if first is not None:
        code = str(first.get("errorCode"))
        return code if _CODE.fullmatch(code) else "unnamed"
    # In a user of Alma's the same words are a name that somebody chose.
    if not answer.body.lstrip(_BEFORE_XML).startswith(b"<"):
        return None
    in_xml = _IN_XML.search(answer.body[:4096])
    return in_xml[1].decode() if in_xml else None


def _first_error(answer: HttpAnswer) -> Mapping[str, Any] | None:
    errors = answer.fields().get("errorList")
    listed = errors.get("error") if isinstance(errors, Mapping) else None
    if isinstance(listed, list) and listed and isinstance(listed[0], Mapping):
        return listed[0]
    return None


def refused(answer: HttpAnswer, operation: str, group: str = "") -> LibraryRefused:
    """Return the error for a refusal; ``group`` is the user group that was sent."""
    code = code_of(answer) or str(answer.status)
    known = _KNOWN.get(code)
    if known is None:
        return LibraryRefused(f"{operation}: Alma refuses it with {code}")
    names = {"group": group or _UNNAMED, "name": _name(answer, known)}
    setting = known.setting.format(**names) if known.setting else None
    return LibraryRefused(f"{operation}: {known.words.format(**names)} ({code})", setting)


def demand_verdict(answer: HttpAnswer, operation: str) -> str | None:
    """Return the code of a refusal, None for a success.

    LibraryUnavailable for what is neither: a failure of Alma's, an answer that is not Alma's;
    CallNotMade for a key that is not taken and for a quota that is used up.
    """
    code = code_of(answer)
    if code is None:
        if answer.status == 200 and answer.fields():
            return None
        error = LibrarySilent if answer.status in GATEWAY_ERRORS else LibraryUnavailable
        raise error(f"{operation}: {answer.status}: {_kind_of(answer)}")
    if code in _OF_THE_KEY:
        words = "the API key is not taken here, or lacks the right (Users: read/write)"
        raise CallNotMade(f"{operation}: {words} ({code})", "library.api_key")
    if code == DAILY:
        words = "the calls of the day are used up; Alma counts anew at midnight"
        raise CallNotMade(f"{operation}: {words} ({code})", QUOTA)
    known = code in _KNOWN or code in NOT_FOUND or code == TAKEN
    if code in _NOT_NOW or (answer.status >= 500 and not known):
        raise LibraryUnavailable(f"{operation}: Alma fails with {code}")
    return code


def _name(answer: HttpAnswer, known: _Known) -> str:
    """Return the name of the set-up in Alma's text; a value that a person has is none."""
    error = _first_error(answer)
    if known.pattern is None or error is None:
        return _UNNAMED
    match = known.pattern.match(str(error.get("errorMessage")))
    return match["name"] if match else _UNNAMED


def _kind_of(answer: HttpAnswer) -> str:
    """Name what stands in the place of Alma's JSON: a gateway's page may quote the request."""
    start = answer.body[:200].lstrip()
    if not start:
        return "an empty answer"
    if start.startswith(b"<"):
        return "a page in the place of Alma's answer; is library.url the region's gateway?"
    return "no answer of Alma's"
