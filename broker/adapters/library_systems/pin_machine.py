"""A machine that is asked for PINs, and once an hour whether it ever says no."""

import secrets
import time
from typing import Final

from broker.adapters.library_systems.sip2 import Sip2Client
from broker.core.errors import LibraryUnavailable

SETTING: Final = "library.sip2"
TAKES_ANY: Final = "the machine port takes any PIN; have its profile ask for the PIN"
_TRUSTED_S: Final = 3600.0


class PinMachine:
    """One machine whose word is the only evidence of a PIN; safe to share between threads."""

    def __init__(self, client: Sip2Client) -> None:
        self._client = client
        self._trusted_until = time.monotonic()

    def accepts(self, card: str, pin: str, until: float) -> bool:
        """Return whether the machine takes this card and PIN, as ``Sip2Client.accepts``.

        LibraryUnavailable where it takes a PIN too that nobody has: any number would open its
        account by any PIN.
        """
        if not self._client.accepts(card, pin, until):
            return False
        if time.monotonic() >= self._trusted_until:
            if self.takes_any(card, until):
                raise LibraryUnavailable(f"sip2: {TAKES_ANY}", SETTING)
            self._trusted_until = time.monotonic() + _TRUSTED_S
        return True

    def takes_any(self, card: str, until: float) -> bool:
        """Return whether a PIN that nobody has is taken for this card; LibraryUnavailable."""
        return self._client.accepts(card, secrets.token_urlsafe(16), until)
