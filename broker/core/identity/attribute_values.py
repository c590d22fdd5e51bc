"""What one attribute value must look like before anything believes it: characters, pattern, scope, level, no CPR."""

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from typing import Final

from broker.core.entities import Assurance
from broker.core.identity import cpr

# SDP-G02 promises 256 and a UTF-8 name may need more; nothing a person is called needs a page.
_LONGEST: Final = 1024
# Lower case only, no empty label, nothing after the last one: "au.dk." and "AU.DK" are other names
# than "au.dk".
_DOMAIN: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
)
# Bidirectional overrides: a name with one shows another text on the consent screen than the one
# that leaves.
_BIDI: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")
NSIS: Final = "https://data.gov.dk/concept/core/nsis/"
_LEVELS: Final = {
    "1": Assurance.SELF_ASSERTED,
    "2": Assurance.LOW,
    "3": Assurance.SUBSTANTIAL,
    "4": Assurance.HIGH,
    "low": Assurance.LOW,
    "substantial": Assurance.SUBSTANTIAL,
    "high": Assurance.HIGH,
}
# Classes other than those of NSIS that say how surely the person is known, and the level each says
# at least.
_CLASSES: Final = {
    "https://refeds.org/profile/mfa": Assurance.SUBSTANTIAL,
    "http://schemas.microsoft.com/claims/multipleauthn": Assurance.SUBSTANTIAL,
    "http://eidas.europa.eu/LoA/low": Assurance.LOW,
    "http://eidas.europa.eu/LoA/substantial": Assurance.SUBSTANTIAL,
    "http://eidas.europa.eu/LoA/high": Assurance.HIGH,
}


def clean(value: str) -> bool:
    """Say whether ``value`` is of bearable length and free of control characters, newlines and bidi tricks."""
    return len(value) <= _LONGEST and not any(
        character in _BIDI or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        for character in value
    )


def matches(value: str, pattern: str | None) -> bool:
    """Say whether the whole of ``value`` is as ``pattern`` has it: a ``$`` alone would let a newline follow."""
    return pattern is None or _compiled(pattern).fullmatch(value) is not None


def in_scope(value: str, kind: str | None, scopes: Collection[str]) -> bool:
    """Say whether the scope of ``value`` is one of ``scopes``, or where ``kind`` is "sub" lies below one.

    The scope is what follows the one "@", or the whole of a value without one (a home
    organisation).
    """
    if kind is None:
        return True
    if value.count("@") > 1:
        return False
    scope = value.rpartition("@")[2]
    if not _DOMAIN.fullmatch(scope):
        return False
    return scope in scopes or (
        kind == "sub" and any(scope.endswith("." + each) for each in scopes if each)
    )


def carries_cpr(value: str, *, opaque: bool) -> bool:
    """Say whether ``value`` carries a CPR-shaped number; in an ``opaque`` id a run on into letters is chance."""
    return cpr.looks_like_cpr(value, apart=opaque)


def assurance_of_class(authn_class: str) -> Assurance | None:
    """Give the level that a class of authentication says at least; None where it says nothing of it."""
    return _CLASSES.get(authn_class) or level(authn_class)


def level(value: str) -> Assurance | None:
    """Read WAYF's 1-4, an NSIS level, or an NSIS URL that ends in one; None for anything else (design 5)."""
    if value.startswith(NSIS):
        value = value.rpartition("/")[2]
    return _LEVELS.get(value.casefold())


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
