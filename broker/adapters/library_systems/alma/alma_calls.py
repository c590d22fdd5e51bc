"""Calls of Alma's REST API, addresses of users, and the error codes of Alma.

Addresses hold identifiers, because Alma has no other way to ask for a user by CPR number. So no
address may be logged or raised. The HTTP status of an error says little (any fault of a user is a
400), and the texts quote CPR numbers; only the codes are used (docs/alma.md).
"""

import re
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from broker.adapters.http_exchange import HttpAnswer, moment
from broker.adapters.library_systems.alma import alma_users
from broker.adapters.library_systems.alma.alma_settings import AlmaKeys
from broker.core.borrowers.library_setup import LibraryCallObserver
from broker.core.errors import (
    GATEWAY_ERRORS,
    CallNotMade,
    LibraryRefused,
    LibrarySilent,
    LibraryUnavailable,
)

NOT_FOUND: Final = frozenset({"401861", "401890"})
TAKEN: Final = frozenset({"401851"})

_CODE: Final = re.compile(r"[A-Z0-9_]{1,40}")
# The gateway before Alma always answers in XML.
_IN_XML: Final = re.compile(rb"<errorCode>\s*([A-Z0-9_]{1,40})\s*</errorCode>")
_FIELD: Final = re.compile(rb'Mandatory field is missing: *([A-Za-z_]{1,40})\.?"')
_BEFORE_XML: Final = b"\xef\xbb\xbf \t\r\n"
# Codes of calls that Alma has not carried out, with the sentence and the setting at fault.
_KEY_REFUSED: Final = (
    "the API key is not taken here, or lacks the right (Users: read/write)",
    "library.api_key",
)
_NOT_CARRIED_OUT: Final = {
    "UNAUTHORIZED": _KEY_REFUSED,
    "FORBIDDEN": _KEY_REFUSED,
    "INVALID_REQUEST": _KEY_REFUSED,
    "PER_SECOND_THRESHOLD": ("Alma takes no more calls this second", None),
    "DAILY_THRESHOLD": (
        "the calls of the day are used up; Alma counts from 0 again at midnight",
        "calls of the day",
    ),
}
# Failures inside Alma, which another try may not meet.
_NOT_NOW: Final = frozenset({"401658", "402119", "GENERAL_ERROR", "INTERNAL_SERVER_ERROR"})
# Codes with the sentence and the setting at fault. ``{group}`` is the user group that was sent,
# ``{name}`` the field that Alma names.
_KNOWN: Final[Mapping[str, tuple[str, str | None]]] = {
    "401664": ("a field is mandatory: {name}", "mandatory field {name}"),
    "401676": ("the user object is not understood", None),
    "401852": ("there is no user group {group}", "user_group {group}"),
    "401853": ("an internal user has no external_id", "external_id"),
    "401854": ("external_id is no SIS profile", "external_id"),
    "401855": ("the account type is not taken", "account_type"),
    "401857": ("the account type is not taken", "account_type"),
    "401858": ("the external_id of a user cannot be changed", None),
    "401860": ("the user cannot be updated", None),
    "401863": ("an address, mail or telephone type does not fit the record type", "type"),
    "401864": ("an address, mail or telephone type is not in its code table", "type"),
}


def read_code(answer: HttpAnswer) -> str | None:
    """Return the code of the first error in an answer; None if it has none."""
    errors = answer.fields().get("errorList")
    listed = errors.get("error") if isinstance(errors, Mapping) else None
    if isinstance(listed, list) and listed and isinstance(listed[0], Mapping):
        code = str(listed[0].get("errorCode"))
        return code if _CODE.fullmatch(code) else "unnamed"
    # Do not read it from a user, where the same words could be a name.
    if not answer.body.lstrip(_BEFORE_XML).startswith(b"<"):
        return None
    in_xml = _IN_XML.search(answer.body[:4096])
    return in_xml[1].decode() if in_xml else None


def make_refusal(answer: HttpAnswer, operation: str, group: str = "") -> LibraryRefused:
    """Return the error for a refusal; ``group`` is the user group that was sent."""
    code = read_code(answer) or str(answer.status)
    if code not in _KNOWN:
        return LibraryRefused(f"{operation}: Alma refuses it with {code}")
    words, setting = _KNOWN[code]
    field = _FIELD.search(answer.body)
    names = {"group": group, "name": field[1].decode() if field else "of another name"}
    named = setting.format(**names) if setting else None
    return LibraryRefused(f"{operation}: {words.format(**names)} ({code})", named)


def demand_verdict(answer: HttpAnswer, operation: str) -> str | None:
    """Return the code of a refusal, None for a success.

    Raises LibraryUnavailable for a failure inside Alma and for answers of another server. Raises
    CallNotMade for a refused key and a used-up quota.
    """
    code = read_code(answer)
    if code is None:
        if answer.status == 200 and answer.fields():
            return None
        error = LibrarySilent if answer.status in GATEWAY_ERRORS else LibraryUnavailable
        raise error(f"{operation}: {answer.status}: not an answer of Alma")
    if code in _NOT_CARRIED_OUT:
        words, setting = _NOT_CARRIED_OUT[code]
        raise CallNotMade(f"{operation}: {words} ({code})", setting)
    known = code in _KNOWN or code in NOT_FOUND or code in TAKEN
    if code in _NOT_NOW or (answer.status >= 500 and not known):
        raise LibraryUnavailable(f"{operation}: Alma fails with {code}")
    return code


USERS: Final = "/almaws/v1/users"
ALL_TYPES: Final = "all_unique"
_POSSIBLE: Final = re.compile(r"[\w@+-][\w.@+-]{0,99}")


class Calls:
    """Calls an Alma with its API key; threads may share it."""

    def __init__(self, settings: AlmaKeys, observe: LibraryCallObserver) -> None:
        self._exchange = settings.open_exchange()
        self._key = f"apikey {settings.api_key.get_secret_value()}"
        self._timeout = settings.timeout
        self._observe = observe

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: datetime,
        *,
        body: Mapping[str, Any] | None = None,
        group: str = "",
        unless: Collection[str] = (),
    ) -> Mapping[str, Any]:
        """Return the object in the answer, empty if Alma answers with one of the codes ``unless``.

        ``group`` is the user group that was sent. Raises LibraryRefused for any other refusal, and
        CallNotMade if nothing was sent or Alma did nothing. After LibraryUnavailable it is unknown
        whether the call was carried out.
        """
        began = time.monotonic()
        outcome = "unavailable"
        headers, until = {"Authorization": self._key}, moment(deadline, self._timeout)
        try:
            answer = self._exchange.call(method, path, until, headers=headers, json=body)
            code = demand_verdict(answer, operation)
            outcome = "done" if code is None or code in NOT_FOUND else "refused"
        finally:
            self._observe(operation, outcome, time.monotonic() - began)
        if code is None:
            return answer.fields()
        if code in unless:
            return {}
        raise make_refusal(answer, operation, group)


def is_possible_number(number: str) -> bool:
    """Return whether a text can be a borrower number; a text with a CPR number cannot."""
    return bool(_POSSIBLE.fullmatch(number)) and not alma_users.holds_cpr(number)


def make_numbered_path(number: str, **query: str | Sequence[str]) -> str:
    """Return the address of a user by borrower number.

    Raises LibraryRefused if it cannot be one.
    """
    if not is_possible_number(number):
        raise LibraryRefused("no user has such a number")
    return make_user_path(number, ALL_TYPES, **query)


def make_user_path(identifier: str, kind: str, **query: str | Sequence[str]) -> str:
    """Return the address of the user with this identifier of the type ``kind``."""
    asked = {"user_id_type": kind}
    for name, value in query.items():
        asked[name] = value if isinstance(value, str) else ",".join(value)
    return f"{USERS}/{quote(identifier, safe='')}?{urlencode(asked, safe=',')}"
