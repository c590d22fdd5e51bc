"""Two cookies: b says which browser, a says which authenticated transaction (design 4a)."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import Request
from werkzeug.wrappers import Response

from broker.core.pseudonyms import Pseudonyms
from broker.core.transaction import LIFETIME, Transaction

_B: Final = re.compile(r"b-[0-9a-f]{16}")
_A: Final = re.compile(r"a-[0-9a-f]{16}")
_SECRET: Final = re.compile(r"[0-9a-f]{64}")
# Cookies of ours that a browser can bring; more are somebody's attempt to fill the header.
_MOST_B: Final = 8
_MOST_A: Final = 8


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names, attributes and meaning of the cookies; ``secure`` exactly when base_url is https."""

    pseudonyms: Pseudonyms
    secure: bool
    path: str = "/"

    def browsers(self, request: Request) -> tuple[str, ...]:
        """Give the pseudonyms of every cookie b that came."""
        found = []
        for name, value in request.cookies.items():
            # A sibling domain can plant any cookie but one with the prefix: without it the name is not ours.
            plain = name.removeprefix(self._prefix) if name.startswith(self._prefix) else ""
            if _B.fullmatch(plain) and _SECRET.fullmatch(value):
                found.append(self.pseudonyms.of("browser", plain, value))
        return tuple(found[:_MOST_B])

    def new_browser(self, response: Response) -> None:
        """Give the browser a cookie b under a fresh name, for the session: first tabs side by side keep theirs."""
        self._set(response, f"b-{secrets.token_hex(8)}", secrets.token_hex(32), None)

    def brings_authentication(self, request: Request, transaction: Transaction) -> bool:
        """Say whether the cookie a that came is the one made when this transaction's authentication arrived."""
        x = request.cookies.get(self._prefix + self._a(transaction), "")
        return (
            bool(_SECRET.fullmatch(x))
            and transaction.arrival is not None
            and self.pseudonyms.same(transaction.arrival, "arrival-mark", x)
        )

    def authenticated(self, request: Request, response: Response, transaction: Transaction, x: str) -> None:
        """Give the browser the cookie a of this transaction, and take back those of all but its last few logins.

        However many logins one page makes a browser go through, the header stays small (design 4a).
        """
        old = [name for name in request.cookies if _A.fullmatch(name.removeprefix(self._prefix))]
        for name in old[: max(0, len(old) - _MOST_A + 1)]:
            response.delete_cookie(
                name, secure=self.secure, httponly=True, samesite="Lax", path="/" if self.secure else self.path
            )
        self._set(response, self._a(transaction), x, LIFETIME)

    @property
    def _prefix(self) -> str:
        return "__Host-" if self.secure else ""

    def _a(self, transaction: Transaction) -> str:
        return "a-" + self.pseudonyms.of("cookie-a", transaction.id).partition(".")[2][:16]

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
