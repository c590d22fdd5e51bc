"""Text comparison of Koha's database (MariaDB's collation utf8mb4_unicode_ci)."""

import unicodedata
from functools import lru_cache
from typing import Final

# The invisible characters that the collation compares; it ignores NUL and zero-width spaces.
_COUNTED: Final = frozenset("\t\n\v\f\r\x85\xad")
_UNCOUNTED: Final = frozenset({"Mn", "Cf", "Cc"})
_LAST_WEIGHED: Final = "\uffff"  # the database treats all later characters as equal
_UNWEIGHED: Final = "\ufffd"


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """Return a key that is equal for all texts that the database treats as equal.

    Case, accents and trailing blanks do not count. Digits of all scripts equal ASCII digits. ``ø``
    and ``æ`` differ from ``o`` and ``ae``.

    Source: docs/reference/koha.md#collation.
    """
    weighed = "".join(_UNWEIGHED if one > _LAST_WEIGHED else one for one in text)
    decomposed = unicodedata.normalize("NFKD", weighed)
    weighted = "".join(map(_weight, decomposed))
    return weighted.casefold().rstrip(" ")


def same(one: str, other: str) -> bool:
    """Return whether the database treats two texts as equal."""
    return fold(one) == fold(other)


def _weight(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    if character in _COUNTED:
        return character
    if unicodedata.category(character) in _UNCOUNTED:
        return ""
    return character
