"""Which texts the database takes for the same: MariaDB's utf8mb4_unicode_ci, as Koha sets it."""

import unicodedata
from functools import lru_cache
from typing import Final

# Of characters without a shape only these count; a NUL or a zero-width space does not.
_COUNTED: Final = frozenset("\t\n\v\f\r\x85\xad")
_UNCOUNTED: Final = frozenset({"Mn", "Cf", "Cc"})
_LAST_WEIGHED: Final = "\uffff"  # all characters behind it are the same to the database
_UNWEIGHED: Final = "\ufffd"


@lru_cache(maxsize=65_536)
def folded(text: str) -> str:
    """Return the text of which all equal texts have the same: capitals, accents, trailing blanks.

    Digits of every script are those of ours. ``ø`` and ``æ`` are letters of their own.

    Source: docs/reference/koha.md#collation.
    """
    weighed = "".join(_UNWEIGHED if one > _LAST_WEIGHED else one for one in text)
    decomposed = unicodedata.normalize("NFKD", weighed)
    kept = "".join(map(_weight, decomposed))
    return kept.casefold().rstrip(" ")


def same(one: str, other: str) -> bool:
    """Return whether the database takes two texts for the same."""
    return folded(one) == folded(other)


def _weight(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    if character in _COUNTED:
        return character
    if unicodedata.category(character) in _UNCOUNTED:
        return ""
    return character
