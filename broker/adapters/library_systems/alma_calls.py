"""Calls of Alma's REST API with the key, and addresses of users.

An identifier stands in the address: Alma knows no other way to ask for a user by the CPR number. So
no address is ever logged, told or raised here (docs/alma.md).
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from broker.adapters.http_exchange import Exchange, HttpAnswer, moment
from broker.adapters.library_systems import alma_refusals, alma_users
from broker.adapters.library_systems.alma_settings import AlmaKeys
from broker.core.borrowers.library_calls import LibraryCallObserver
from broker.core.errors import CallNotMade, CallNotSent, LibraryRefused, LibrarySilent

USERS: Final = "/almaws/v1/users"
ALL_TYPES: Final = "all_unique"
_POSSIBLE: Final = re.compile(r"[\w@+-][\w.@+-]{0,99}")


class AlmaAnswer(NamedTuple):
    """An answer to a call: the object that it brings, or the code of a refusal."""

    code: str | None
    body: Mapping[str, Any]
    raw: HttpAnswer


class Calls:
    """Calls one Alma with one API key; safe to share between threads."""

    def __init__(self, settings: AlmaKeys, observe: LibraryCallObserver) -> None:
        self._exchange = Exchange(
            settings.url,
            settings.ca_file,
            unavailable=LibrarySilent,
            unsent=CallNotSent,
            busy=CallNotMade,
            connections=settings.connections,
        )
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
    ) -> AlmaAnswer:
        """Return the answer, a success or a refusal of ``operation``; LibraryUnavailable otherwise.

        CallNotMade where nothing was sent, or Alma has done nothing. Any other failure does not
        reveal whether it was done: the enrolment looks again.
        """
        began = time.monotonic()
        outcome = "unavailable"
        try:
            answer = self._send(method, path, moment(deadline, self._timeout), body)
            code = alma_refusals.demand_verdict(answer, operation)
            is_answered = code is None or code in alma_refusals.NOT_FOUND
            outcome = "done" if is_answered else "refused"
            return AlmaAnswer(code, answer.fields(), answer)
        finally:
            self._observe(operation, outcome, time.monotonic() - began)

    def _send(
        self, method: str, path: str, until: float, body: Mapping[str, Any] | None
    ) -> HttpAnswer:
        headers = {"Authorization": self._key}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return self._exchange.call(method, path, until, headers=headers, body=content)


def possible(number: str) -> bool:
    """Return whether a text can be the number of a borrower: none that holds a CPR number is."""
    return bool(_POSSIBLE.fullmatch(number)) and not alma_users.holds_cpr(number)


def numbered_path(number: str, **query: str | Sequence[str]) -> str:
    """Return the address of the user of a borrower number; LibraryRefused where it can be none."""
    if not possible(number):
        raise LibraryRefused("no user has such a number")
    return user_path(number, ALL_TYPES, **query)


def user_path(identifier: str, kind: str, **query: str | Sequence[str]) -> str:
    """Return the address of the user with this identifier of the type ``kind``."""
    asked = {"user_id_type": kind}
    for name, value in query.items():
        asked[name] = value if isinstance(value, str) else ",".join(value)
    return f"{USERS}/{quote(identifier, safe='')}?{urlencode(asked, safe=',')}"
