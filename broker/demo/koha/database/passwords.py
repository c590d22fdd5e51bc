"""Koha's passwords, which are also the PINs at machines: rules, and a table of digests."""

import hashlib
import hmac
import re
import secrets
from typing import Final

from broker.demo.koha.database.administration import Category, SystemPreferences

_LEAST: Final = 3  # Koha's minimal length for all settings
_STRONG: Final = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])", re.DOTALL)
_BLANK_AT_AN_END: Final = re.compile(r"\A\s|\s\Z")


def password_fault(password: str, category: Category, preferences: SystemPreferences) -> str:
    """Return Koha's error message about a password, "" if it follows all rules.

    A category's rule takes precedence over the system preference.

    Source: docs/reference/koha.md#pin-rules.
    """
    shortest = category.min_password_length
    if shortest is None:
        shortest = preferences.min_password_length
    shortest = max(_LEAST, shortest)
    if len(password) < shortest:
        return f"Password length ({len(password)}) is shorter than required ({shortest})"
    strong = category.require_strong_password
    if strong is None:
        strong = preferences.require_strong_password
    if strong and not _STRONG.match(password):
        return "[Password is too weak]"
    if _BLANK_AT_AN_END.search(password):
        return "[Password contains leading/trailing whitespace character(s)]"
    return ""


class PasswordTable:
    """The digest of each patron's password, by patron number, and the passwords that expired."""

    def __init__(self) -> None:
        self._pepper = secrets.token_bytes(32)
        self._digests: dict[int, bytes] = {}
        self._expired: set[int] = set()

    def set(self, number: int, password: str) -> None:
        """Store a password."""
        self._digests[number] = self._digest(password)
        self._expired.discard(number)

    def expire(self, number: int) -> None:
        """Let a patron's password have expired."""
        self._expired.add(number)

    def holds(self, number: int) -> bool:
        """Return whether a patron has a password."""
        return number in self._digests

    def matches(self, number: int, password: str) -> bool:
        """Return whether this is a patron's password, expired or not."""
        digest = self._digests.get(number, b"")
        return hmac.compare_digest(digest, self._digest(password))

    def has_expired(self, number: int) -> bool:
        """Return whether a patron's password has expired."""
        return number in self._expired

    def drop(self, number: int) -> None:
        """Delete a patron's password."""
        self._digests.pop(number, None)

    def _digest(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode(), key=self._pepper).digest()
