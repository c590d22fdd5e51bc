"""The cookies: browser, login, known browser, remembered upstream, mark of an earlier login.

The browser cookie tells browsers apart; the login cookie belongs to one authenticated transaction
(docs/reference/design.md#4a).
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import request
from werkzeug.wrappers import Response

from broker.core.login.transaction import LIFETIME, Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.retention import KNOWN_BROWSER
from broker.use_cases.pins.known_browsers import BrowserToken

_BROWSER_COOKIE: Final = re.compile(r"b-[0-9a-f]{16}")
_LOGIN_COOKIE: Final = re.compile(r"a-[0-9a-f]{16}")
_KNOWN_BROWSER_COOKIE: Final = re.compile(r"k-[0-9a-f]{16}")
_KNOWN_BROWSER_TOKEN: Final = re.compile(r"([\w-]{1,64}\.[0-9a-f]{64})\.([0-9a-f]{64})")
_UPSTREAM_COOKIE: Final = "way"
_MARK_COOKIE: Final = "mark"
_STAFF_COOKIE: Final = "staff"
_SHARED_COOKIE: Final = "shared"
_SECRET: Final = re.compile(r"[0-9a-f]{64}")
# Logins of one browser at the same time. More are an attempt to fill the Cookie header, which a
# server limits to 8,190 bytes. These and as many browser cookies take 4,416 bytes.
MOST_LOGIN_COOKIES: Final = 24
_MOST_KNOWN_BROWSERS: Final = 4
_UPSTREAM_KEPT_FOR: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class BrowserCookies:
    """Reads and sets the cookies; ``secure`` is True if and only if base_url is https."""

    hmacs: LookupHmacs
    secure: bool
    path: str = "/"

    def browsers(self) -> tuple[str, ...]:
        """Return the pseudonyms of the browser cookies in the request."""
        brought = self._brought(_BROWSER_COOKIE).items()
        return tuple(self._browser(*each) for each in brought if _SECRET.fullmatch(each[1]))

    def set_browser_cookie(self, response: Response) -> str:
        """Set a browser cookie for the session, and return the browser's pseudonym under it.

        Each cookie has a new name, so that two tabs that open together do not overwrite each
        other's cookie.
        """
        name = "b-" + secrets.token_hex(8)
        value = secrets.token_hex(32)
        self._set(response, name, value, None)
        return self._browser(name, value)

    def find_known_browsers(self) -> tuple[BrowserToken, ...]:
        """Return the tokens in the request: one for each borrower who made this browser known."""
        brought = self._brought(_KNOWN_BROWSER_COOKIE).values()
        found = [parts for value in brought if (parts := _KNOWN_BROWSER_TOKEN.fullmatch(value))]
        return tuple(BrowserToken(parts[1], parts[2]) for parts in found[:_MOST_KNOWN_BROWSERS])

    def remember_browser(self, response: Response, token: BrowserToken) -> None:
        """Set a cookie with ``token`` for 90 days, and drop the oldest of more than four."""
        brought = self._brought(_KNOWN_BROWSER_COOKIE)
        self._drop_oldest(response, brought, _MOST_KNOWN_BROWSERS)
        name = "k-" + secrets.token_hex(8)
        self._set(response, name, f"{token.person_id}.{token.secret}", KNOWN_BROWSER.span)

    def upstream(self) -> str | None:
        """Return the name of the remembered upstream, not validated; None without one."""
        return self._read(_UPSTREAM_COOKIE)

    def remember_upstream(self, response: Response, upstream: str | None) -> None:
        """Remember an upstream for half a year. Forget it if ``upstream`` is None."""
        if upstream:
            self._set(response, _UPSTREAM_COOKIE, upstream, _UPSTREAM_KEPT_FOR)
        elif self.upstream() is not None:
            self._drop(response, _UPSTREAM_COOKIE)

    def mark_shared(self, response: Response) -> None:
        """Mark the computer as shared, by a cookie that lasts until the browser closes."""
        self._set(response, _SHARED_COOKIE, "1", None)

    def is_marked_shared(self) -> bool:
        """Return whether a person has marked this computer as shared, in this browser."""
        return self._read(_SHARED_COOKIE) is not None

    def brings_login_cookie(self, transaction: Transaction) -> bool:
        """Return whether the request has the login cookie of this transaction's authentication."""
        arrival_token = self._read(self._login_cookie(transaction)) or ""
        if transaction.arrival is None or not _SECRET.fullmatch(arrival_token):
            return False
        return self.hmacs.matches(transaction.arrival, "arrival-mark", arrival_token)

    def set_login_cookie(
        self, response: Response, transaction: Transaction, arrival_token: str
    ) -> None:
        """Set the login cookie of this transaction, and drop those of all but the last few logins.

        The Cookie header stays small even if a page makes the browser go through many logins
        (docs/reference/design.md#4a-reasons).
        """
        self._drop_oldest(response, self._brought(_LOGIN_COOKIE), MOST_LOGIN_COOKIES)
        lifetime = None if transaction.shared else LIFETIME
        self._set(response, self._login_cookie(transaction), arrival_token, lifetime)
        if transaction.authenticated is not None and not transaction.shared:
            self._mark_login(response, transaction.authenticated)

    def login_mark(self, now: datetime) -> str | None:
        """Return week and number of the earlier-login mark in the request; None without one."""
        return LoginMarks(self.hmacs).read(self._read(_MARK_COOKIE) or "", now)

    def staff_token(self) -> str:
        """Return the token of a session of the staff view; "" without one."""
        value = self._read(_STAFF_COOKIE) or ""
        return value if _SECRET.fullmatch(value) else ""

    def set_staff_cookie(self, response: Response, token: str) -> None:
        """Set the cookie of the staff view; browsers do not send it with requests of other sites.

        The cookie lasts until the browser closes. The end of the session is stored on the server.
        """
        self._set(response, _STAFF_COOKIE, token, None, same_site="Strict")

    def drop_staff_cookie(self, response: Response) -> None:
        """Let the browser drop the cookie of the staff view."""
        self._drop(response, _STAFF_COOKIE, same_site="Strict")

    def drop_all(self, response: Response) -> None:
        """Drop all cookies of the broker, and ask the browser to clear its storage for this site.

        Clear-Site-Data clears the cookies of the whole registered domain. Do not send it with a
        page that posts to a service: a service in that domain would lose the login that it began
        (docs/reference/design.md#4a-shared).
        """
        for shape in (_BROWSER_COOKIE, _LOGIN_COOKIE, _KNOWN_BROWSER_COOKIE):
            for name in self._brought(shape):
                self._drop(response, name)
        self._drop(response, _MARK_COOKIE)
        self._drop(response, _SHARED_COOKIE)
        self.remember_upstream(response, None)
        response.headers["Clear-Site-Data"] = '"cookies", "storage"'

    def _mark_login(self, response: Response, now: datetime) -> None:
        """Set the mark of an earlier login, unless this browser got one this week."""
        marks = LoginMarks(self.hmacs)
        brought = self.login_mark(now)
        if brought is None or not marks.is_new(brought, now):
            self._set(response, _MARK_COOKIE, marks.new(now), KEPT_FOR)

    @property
    def _path(self) -> str:
        # A cookie with the prefix __Host- must have the path /.
        return "/" if self.secure else self.path

    @property
    def _prefix(self) -> str:
        return "__Host-" if self.secure else ""

    def _read(self, name: str) -> str | None:
        return request.cookies.get(self._prefix + name)

    def _brought(self, shape: re.Pattern[str]) -> dict[str, str]:
        """Return the cookies of one kind in the request, by their names without the prefix.

        Ignore cookies without the ``__Host-`` prefix: a sibling domain can plant them.
        """
        prefix = self._prefix
        ours = {
            name.removeprefix(prefix): value
            for name, value in request.cookies.items()
            if name.startswith(prefix)
        }
        return {name: value for name, value in ours.items() if shape.fullmatch(name)}

    def _browser(self, name: str, value: str) -> str:
        return self.hmacs.compute("browser", name, value)

    def _login_cookie(self, transaction: Transaction) -> str:
        _, _, digest = self.hmacs.compute("cookie-a", transaction.id).partition(".")
        return f"a-{digest[:16]}"

    def _drop_oldest(self, response: Response, brought: dict[str, str], most: int) -> None:
        """Drop the first cookies, so that with one more there are at most ``most``."""
        for name in list(brought)[: max(0, len(brought) - most + 1)]:
            self._drop(response, name)

    def _drop(self, response: Response, name: str, same_site: str = "Lax") -> None:
        response.delete_cookie(
            self._prefix + name,
            secure=self.secure,
            httponly=True,
            samesite=same_site,
            path=self._path,
        )

    def _set(
        self,
        response: Response,
        name: str,
        value: str,
        lifetime: timedelta | None,
        same_site: str = "Lax",
    ) -> None:
        response.set_cookie(
            self._prefix + name,
            value,
            max_age=lifetime,
            secure=self.secure,
            httponly=True,
            samesite=same_site,
            path=self._path,
        )


KEPT_FOR: Final = timedelta(weeks=13)
_WEEK: Final = timedelta(weeks=1)
_LABEL: Final = "login-mark"
# A mark has one of 4,096 random numbers, which is not stored. Several browsers share a number, so
# that a mark identifies no browser. Abuse of one mark affects only the few browsers that share it.
_NUMBERS: Final = 4096
_MARK: Final = re.compile(r"([0-9]{4,5}-[0-9a-f]{3})-([0-9a-f]{32})")
_MAC_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class LoginMarks:
    """Earlier-login marks: the last valid week, a number, and a MAC over both."""

    hmacs: LookupHmacs

    def new(self, now: datetime) -> str:
        """Return a mark that is valid for thirteen weeks."""
        ends = _week(now) + KEPT_FOR // _WEEK
        facts = f"{ends}-{secrets.randbelow(_NUMBERS):03x}"
        return f"{facts}-{self._mac(facts)}"

    def read(self, value: str, now: datetime) -> str | None:
        """Return week and number of a genuine mark; None if it is forged or expired."""
        parts = _MARK.fullmatch(value)
        if parts is None or not secrets.compare_digest(parts[2], self._mac(parts[1])):
            return None
        ends = int(parts[1].partition("-")[0])
        return parts[1] if ends >= _week(now) else None

    def is_new(self, mark: str, now: datetime) -> bool:
        """Return whether a mark, as ``read`` returns it, was made this week."""
        return int(mark.partition("-")[0]) == _week(now) + KEPT_FOR // _WEEK

    def _mac(self, facts: str) -> str:
        _, _, digits = self.hmacs.compute(_LABEL, facts).partition(".")
        return digits[:_MAC_DIGITS]


def _week(now: datetime) -> int:
    return int(now.timestamp() // _WEEK.total_seconds())
