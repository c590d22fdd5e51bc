"""The browsers that people ticked as their own, each known by one borrower for a year."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Names
from broker.core.errors import TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention.table import PIN_BROWSER
from broker.use_cases.proofs.pin_letters import identifier_pseudonym
from broker.use_cases.proofs.rate_limits import Limit, Limits
from broker.use_cases.records import Records

KNOWN_FOR: Final = PIN_BROWSER.span
WRONG_PINS: Final = Limit("pin-known-browser", 10, KNOWN_FOR)


@dataclass(frozen=True, slots=True, repr=False)
class KnownBrowser:
    """The borrower that one browser is known for, and the pseudonyms of what may be typed there."""

    number: str
    identifiers: Names


@dataclass(frozen=True, slots=True, repr=False)
class BrowserToken:
    """What a known browser brings: a secret, and an HMAC over it, the borrower and the PIN.

    The store holds nothing that is made of the PIN: only both together say which PIN fits.
    """

    secret: str
    fit: str


@dataclass(frozen=True, slots=True, repr=False)
class KnownBrowserToken:
    """A token whose browser is known, and for which borrower."""

    token: BrowserToken
    number: str


@dataclass(frozen=True, slots=True)
class KnownBrowsers:
    """The known browsers in a store."""

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def remember(self, borrower: Borrower, identifiers: Names, pin: str) -> BrowserToken:
        """Let a browser be known for the borrower, by the PIN it has just shown.

        ``identifiers`` are pseudonyms of what was typed; CPR number and card number count too.
        """
        now = self.now()
        secret = secrets.token_hex(32)
        own = [each for each in (borrower.cpr, borrower.card) if each]
        pseudonyms = [identifier_pseudonym(self.hmacs, each) for each in own]
        known = KnownBrowser(borrower.number, tuple(dict.fromkeys((*identifiers, *pseudonyms))))
        self._browsers.add(self._key(secret), known, PIN_BROWSER.until(now), now)
        return BrowserToken(secret, self._fit(secret, borrower.number, pin))

    def knows_any(self, brought: Sequence[BrowserToken]) -> bool:
        """Return whether one of the tokens is of a known browser."""
        return any(self._browsers.get(self._key(each.secret), self.now()) for each in brought)

    def of(self, brought: Sequence[BrowserToken], identifier: str) -> KnownBrowserToken | None:
        """Return the token of the browser that is known for what was typed; None where none is."""
        pseudonym = identifier_pseudonym(self.hmacs, identifier)
        for token in brought:
            record = self._browsers.get(self._key(token.secret), self.now())
            if record and pseudonym in record.value.identifiers:
                return KnownBrowserToken(token, record.value.number)
        return None

    def fits(self, known: KnownBrowserToken, pin: str) -> bool:
        """Return whether ``pin`` is the one that the browser became known by.

        The try is counted before it is compared; the tenth that does not fit makes the browser
        unknown for good.
        """
        secret = known.token.secret
        limits = Limits(self.store, self.hmacs, self.now)
        try:
            limits.take((WRONG_PINS, secret))
        except TooMany:
            self.forget(known)
            return False
        parts = (secret, known.number, pin)
        if not self.hmacs.same(known.token.fit, "pin-known-fit", *parts):
            return False
        limits.forget(WRONG_PINS, secret)
        return True

    def forget(self, known: KnownBrowserToken) -> None:
        """Let the browser be known no longer."""
        self.store.drop(self._key(known.token.secret))

    def _fit(self, secret: str, number: str, pin: str) -> str:
        return self.hmacs.of("pin-known-fit", secret, number, pin)

    @property
    def _browsers(self) -> Records[KnownBrowser]:
        return Records(self.store, KnownBrowser)

    def _key(self, secret: str) -> Key:
        return Key("pin", self.hmacs.of("pin-known-browser", secret), "browser")
