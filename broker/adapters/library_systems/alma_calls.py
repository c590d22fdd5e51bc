"""Calls of Alma's REST API with the key, the number of calls a second, and addresses of users.

An identifier stands in the address: Alma knows no other way to ask for a user by the CPR number. So
no address is ever logged, told or raised here (docs/alma.md).
"""

import json
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from broker.adapters.http_exchange import Exchange, HttpAnswer, moment
from broker.adapters.library_systems import alma_refusals, alma_users
from broker.adapters.library_systems.alma_settings import AlmaKeys
from broker.core.borrowers.library_calls import QUOTA_LOW, LibraryCallObserver
from broker.core.errors import CallNotMade, CallNotSent, LibraryRefused, LibrarySilent

USERS: Final = "/almaws/v1/users"
ALL_TYPES: Final = "all_unique"
_POSSIBLE: Final = re.compile(r"[\w@+-][\w.@+-]{0,99}")
_REMAINING: Final = "X-Exl-Api-Remaining"
_ALARM_BELOW: Final = 0.2  # of the day's calls
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 8.0


class CallBudget:
    """The calls of one process, in all its threads.

    ``a_second`` of them go out at once, and as many in each second after; ``daily`` is what the
    whole institution may send in a day.
    """

    def __init__(self, a_second: float, daily: int) -> None:
        self._gap = 1 / a_second
        self._ahead = max(0.0, 1 - self._gap)
        self._daily = daily
        self._lock = threading.Lock()
        self._next = 0.0
        self._left: int | None = None

    def admit(self, until: float, calls: int = 1) -> None:
        """Wait until the next call may go out, or several without a pause between them.

        CallNotMade where that is not before ``until``, a moment of ``time.monotonic``.
        """
        with self._lock:
            now = time.monotonic()
            slot = max(self._next, now)
            last = slot + self._gap * (calls - 1)
            wait = max(0.0, last - self._ahead - now)
            if now + wait >= until:
                raise CallNotMade("library.calls_a_second are used up")
            self._next = last + self._gap
        time.sleep(wait)

    def back_off(self, attempt: int, until: float) -> None:
        """Wait after a refusal for the calls of a second, longer each time and never alike.

        CallNotMade where ``until`` comes before that.
        """
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
        pause = longest * (1 + secrets.randbelow(1000) / 1000) / 2
        if time.monotonic() + pause >= until:
            raise CallNotMade("Alma takes no more calls this second")
        time.sleep(pause)

    def heard(self, headers: Mapping[str, str]) -> None:
        """Note how many calls of the day are left, as every answer of Alma's says."""
        left = headers.get(_REMAINING, "")
        if left.isascii() and left.isdigit():
            self._left = int(left)

    @property
    def left(self) -> int | None:
        """The calls of the day that are left; None before the first answer."""
        return self._left

    @property
    def is_low(self) -> bool:
        """Whether four fifths of the day's calls are used."""
        return self._left is not None and self._left < self._daily * _ALARM_BELOW


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
        self.budget = CallBudget(settings.calls_a_second, settings.daily_calls)

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: datetime,
        *,
        body: Mapping[str, Any] | None = None,
        turns: int = 1,
    ) -> AlmaAnswer:
        """Return the answer, a success or a refusal of ``operation``; LibraryUnavailable otherwise.

        A call that Alma refuses for the calls of a second has done nothing and is sent again.
        CallNotMade where nothing was sent. Any other failure does not reveal whether it was done:
        the enrolment looks again. ``turns`` is how many calls the wait before it is for: the second
        of two that go out without a pause has 0, and its refusal is returned.
        """
        began = time.monotonic()
        outcome = "unavailable"
        try:
            answer = self._send(method, path, moment(deadline, self._timeout), body, turns)
            code = alma_refusals.demand_verdict(answer, operation)
            is_answered = code is None or code in alma_refusals.NOT_FOUND
            outcome = "done" if is_answered else "refused"
            return AlmaAnswer(code, answer.fields(), answer)
        finally:
            self._observe(operation, outcome, time.monotonic() - began)

    def _send(
        self, method: str, path: str, until: float, body: Mapping[str, Any] | None, turns: int
    ) -> HttpAnswer:
        headers = {"Authorization": self._key}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        attempt = 0
        while True:
            if turns:
                self.budget.admit(until, calls=turns)
            elif time.monotonic() >= until:
                raise CallNotMade("no time is left for the second call of two")
            answer = self._exchange.call(method, path, until, headers=headers, body=content)
            self._note(answer)
            is_too_early = alma_refusals.code_of(answer) == alma_refusals.PER_SECOND
            if not turns or not is_too_early:
                return answer
            self.budget.back_off(attempt, until)
            attempt += 1

    def _note(self, answer: HttpAnswer) -> None:
        self.budget.heard(answer.headers)
        if self.budget.is_low:
            self._observe(QUOTA_LOW, "done", 0.0)


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


def search_path(query: str, limit: int) -> str:
    """Return the address of a search for users."""
    return f"{USERS}?{urlencode({'q': query, 'limit': str(limit)})}"
