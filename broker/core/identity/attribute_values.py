"""The checks of one attribute value before its use: pattern, scope, level, no CPR."""

import re
from collections.abc import Collection
from functools import cache
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from broker.core.entities import Assurance
from broker.core.identity import cpr

# Lower case only, no empty label, nothing after the last one: "au.dk." is another name.
_DOMAIN: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
)
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
NSIS: Final = "https://data.gov.dk/concept/core/nsis/"
_NSIS_PARTS: Final = frozenset({"", "loa", "ial", "aal"})
_LEVELS: Final = {
    "1": Assurance.SELF_ASSERTED,
    "2": Assurance.LOW,
    "3": Assurance.SUBSTANTIAL,
    "4": Assurance.HIGH,
    "low": Assurance.LOW,
    "substantial": Assurance.SUBSTANTIAL,
    "high": Assurance.HIGH,
}
# Authentication context classes outside NSIS, with the least assurance that they stand for.
_CLASSES: Final = {
    "https://refeds.org/profile/mfa": Assurance.SUBSTANTIAL,
    "http://schemas.microsoft.com/claims/multipleauthn": Assurance.SUBSTANTIAL,
    "http://eidas.europa.eu/LoA/low": Assurance.LOW,
    "http://eidas.europa.eu/LoA/substantial": Assurance.SUBSTANTIAL,
    "http://eidas.europa.eu/LoA/high": Assurance.HIGH,
}


def matches(value: str, pattern: str | None) -> bool:
    """Return whether the whole ``value`` matches ``pattern``, or there is no pattern.

    The whole: a ``$`` alone would let a newline follow.
    """
    if pattern is None:
        return True
    return _compiled(pattern).fullmatch(value) is not None


def in_scope(value: str, kind: str | None, scopes: Collection[str]) -> bool:
    """Return whether the scope of ``value`` is in ``scopes``, or below one where ``kind`` is "sub".

    The scope is what follows the one "@", or the whole of a value without one (a home
    organisation). ``kind`` None: the value carries no scope.
    """
    if kind is None:
        return True
    if value.count("@") > 1:
        return False
    scope = value.rpartition("@")[2]
    if not _DOMAIN.fullmatch(scope):
        return False
    if scope in scopes:
        return True
    if kind != "sub":
        return False
    return any(scope.endswith(f".{parent}") for parent in scopes if parent)


def with_lower_scope(value: str) -> str:
    """Return a scoped value with its scope in small letters: a domain has no case (RFC 4343).

    Of ASCII only: a capital of another alphabet is another name. Policies, links and services
    compare to the letter, so that the value is written one way from here on.
    """
    local, at, scope = value.rpartition("@")
    return f"{local}{at}{scope.translate(_SMALL)}"


def carries_cpr(value: str, *, opaque: bool) -> bool:
    """Return whether ``value`` carries a CPR-shaped number.

    In an ``opaque`` id a run of digits that goes on into letters is chance.
    """
    return cpr.looks_like_cpr(value, apart=opaque)


def assurance_of_class(authn_class: str) -> Assurance | None:
    """Return the least level that an authentication context class stands for; None for no level."""
    return _CLASSES.get(authn_class) or level(authn_class)


def level(value: str) -> Assurance | None:
    """Read WAYF's 1-4, an NSIS level, or an NSIS URL of one; else None.

    No other text may stand in the URL: it is told on. Source: docs/reference/design.md#assurance.
    """
    if value.startswith(NSIS):
        value = value.removeprefix(NSIS)
        part, _, named = value.rpartition("/")
        value = named if part in _NSIS_PARTS else ""
    return _LEVELS.get(value.lower())


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
