"""Authentication context classes that contain another one: two factors contain one.

A class counts only by what its definition guarantees for every login (saml-authn-context 3.4,
REFEDS MFA 1.2, NSIS 2.0, Implementing Regulation (EU) 2015/1502).
docs/interop.md#requestedauthncontext says which classes are not in the table, and why.
"""

from collections.abc import Mapping
from typing import Final

_CLASSES: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
_PASSWORD: Final = f"{_CLASSES}Password"
_TRANSPORT: Final = f"{_CLASSES}PasswordProtectedTransport"
_SMARTCARD: Final = f"{_CLASSES}Smartcard"
_NSIS: Final = "https://data.gov.dk/concept/core/nsis/loa"
_EIDAS: Final = "http://eidas.europa.eu/LoA"

# Two factors of different kinds over a protected session: at least what one factor is good for.
_ONE_FACTOR: Final = frozenset({"https://refeds.org/profile/sfa", _TRANSPORT, _PASSWORD})
CONTAINED: Final[Mapping[str, frozenset[str]]] = {
    "https://refeds.org/profile/mfa": _ONE_FACTOR,
    "http://schemas.microsoft.com/claims/multipleauthn": _ONE_FACTOR,
    f"{_NSIS}/Substantial": _ONE_FACTOR,
    f"{_NSIS}/High": _ONE_FACTOR,
    f"{_EIDAS}/substantial": _ONE_FACTOR,
    f"{_EIDAS}/high": _ONE_FACTOR,
    f"{_CLASSES}MobileTwoFactorContract": _ONE_FACTOR,
    f"{_CLASSES}MobileTwoFactorUnregistered": _ONE_FACTOR,
    # A card with a key, and the PIN that opens it.
    f"{_CLASSES}SmartcardPKI": _ONE_FACTOR | {_SMARTCARD},
    _TRANSPORT: frozenset({_PASSWORD}),
}


def is_contained(received: str, wanted: str) -> bool:
    """Return whether every login of the class ``received`` is also one of the class ``wanted``."""
    return wanted in CONTAINED.get(received, ())
