"""Two cookies: b says which browser, a says which authenticated transaction (design 4a)."""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import Request
from werkzeug.wrappers import Response

from broker.core.login.transaction import LIFETIME, Transaction
from broker.core.pseudonyms import Pseudonyms

_B: Final = re.compile(r"b-[0-9a-f]{16}")
_A: Final = re.compile(r"a-[0-9a-f]{16}")
_SECRET: Final = re.compile(r"[0-9a-f]{64}")
# Cookies of ours that a browser can bring; more are somebody's attempt to fill the header.
_MOST_B: Final = 8
_MOST_A: Final = 8
_K: Final = re.compile(r"k-[0-9a-f]{16}")
_MOST_K: Final = 4
_KNOWN_FOR: Final = timedelta(days=180)
_WAY: Final = "way"
_WAY_KEPT_FOR: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class BrowserCookies:
    """Names, attributes and meaning of the cookies; ``secure`` exactly when base_url is https."""

    pseudonyms: Pseudonyms
    secure: bool
    path: str = "/"

    def browsers(self, request: Request) -> tuple[str, ...]:
        """Give the pseudonyms of every cookie b that came."""
        found = []
        for name in self._brought(request, _B):
            value = request.cookies[name]
            if _SECRET.fullmatch(value):
                found.append(self.pseudonyms.of("browser", name.removeprefix(self._prefix), value))
        return tuple(found[:_MOST_B])

    def new_browser(self, response: Response) -> str:
        """Give the browser a cookie b under a fresh name, for the session: first tabs side by side keep theirs.

        The answer is the pseudonym that it will have if it keeps the cookie.
        """
        name, value = f"b-{secrets.token_hex(8)}", secrets.token_hex(32)
        self._set(response, name, value, None)
        return self.pseudonyms.of("browser", name, value)

    def marks(self, request: Request) -> tuple[str, ...]:
        """Give a pseudonym of each borrower with whose PIN this browser has logged in before."""
        names = (each.removeprefix(self._prefix) for each in self._brought(request, _K))
        return tuple(sorted(name for name in names if self._known(request, name)))

    def known(self, request: Request, number: str) -> str | None:
        """Give the pseudonym of this browser if it has logged in with this very borrower's PIN before, else None."""
        kept = self._known(request, self._k(number))
        return self.pseudonyms.of("known-browser", kept) if kept else None

    def remember_borrower(self, request: Request, response: Response, number: str) -> None:
        """Let the browser be known to this borrower for half a year, and to the last few borrowers only."""
        name = self._k(number)
        others = [each for each in self._brought(request, _K) if each != self._prefix + name]
        for each in others[: max(0, len(others) - _MOST_K + 1)]:
            self._drop(response, each)
        # The same id again: a success must not give a browser, or who took it over, its tries back.
        kept = self._known(request, name) or secrets.token_hex(32)
        self._set(response, name, f"{kept}.{self._proof(name, kept)}", _KNOWN_FOR)

    def way(self, request: Request) -> str | None:
        """Give the name of the upstream that the person asked this browser to remember, unchecked; or None."""
        return request.cookies.get(self._prefix + _WAY)

    def remember_way(self, request: Request, response: Response, way: str | None) -> None:
        """Remember a way to log in for half a year, or, with None, no more."""
        if way:
            self._set(response, _WAY, way, _WAY_KEPT_FOR)
        elif self.way(request) is not None:
            self._drop(response, self._prefix + _WAY)

    def brings_authentication(self, request: Request, transaction: Transaction) -> bool:
        """Say whether the cookie a that came is the one made when this transaction's authentication arrived."""
        x = request.cookies.get(self._prefix + self._a(transaction), "")
        return (
            bool(_SECRET.fullmatch(x))
            and transaction.arrival is not None
            and self.pseudonyms.same(transaction.arrival, "arrival-mark", x)
        )

    def authenticated(
        self, request: Request, response: Response, transaction: Transaction, x: str
    ) -> None:
        """Give the browser the cookie a of this transaction, and take back those of all but its last few logins.

        However many logins one page makes a browser go through, the header stays small (design 4a).
        """
        old = self._brought(request, _A)
        for name in old[: max(0, len(old) - _MOST_A + 1)]:
            self._drop(response, name)
        self._set(response, self._a(transaction), x, LIFETIME)

    @property
    def _prefix(self) -> str:
        return "__Host-" if self.secure else ""

    def _brought(self, request: Request, shape: re.Pattern[str]) -> list[str]:
        """Give the names of the cookies of a kind that came, in full.

        A sibling domain can plant any cookie but one with the prefix: without it the name is not
        ours.
        """
        ours = (name for name in request.cookies if name.startswith(self._prefix))
        return [name for name in ours if shape.fullmatch(name.removeprefix(self._prefix))]

    def _a(self, transaction: Transaction) -> str:
        return "a-" + self.pseudonyms.of("cookie-a", transaction.id).partition(".")[2][:16]

    def _known(self, request: Request, name: str) -> str | None:
        kept, _, proof = request.cookies.get(self._prefix + name, "").partition(".")
        right = _SECRET.fullmatch(kept) and _SECRET.fullmatch(proof)
        return kept if right and hmac.compare_digest(proof, self._proof(name, kept)) else None

    def _k(self, number: str) -> str:
        return "k-" + self.pseudonyms.of("cookie-k", number).partition(".")[2][:16]

    def _proof(self, name: str, kept: str) -> str:
        return self.pseudonyms.of("cookie-k-value", name, kept).partition(".")[2]

    def _drop(self, response: Response, name: str) -> None:
        path = "/" if self.secure else self.path
        response.delete_cookie(name, secure=self.secure, httponly=True, samesite="Lax", path=path)

    def _set(self, response: Response, name: str, value: str, lifetime: timedelta | None) -> None:
        response.set_cookie(
            self._prefix + name,
            value,
            max_age=lifetime,
            secure=self.secure,
            httponly=True,
            samesite="Lax",
            path="/" if self.secure else self.path,
        )
