"""Whether two surnames, written by two different people, may be one person's."""

import re
from typing import Final
from unicodedata import combining, normalize

# Letters that decompose into nothing, as people without them on their keyboard write them.
_WRITTEN: Final = str.maketrans(
    {0xE6: "ae", 0xF8: "oe", 0xF0: "d", 0xFE: "th", 0x142: "l", 0x111: "d"}
)
# And the same again, as systems write them that drop a second letter or a mark.
_FOLDED: Final = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"))
_WORD: Final = re.compile(r"[^\W\d_]+")
# Words of many surnames: alone they make nobody the same person.
_PARTICLES: Final = frozenset(
    {"af", "al", "bin", "da", "de", "del", "den", "der", "di", "do", "dos", "du", "el", "ibn"}
    | {"la", "le", "san", "st", "ten", "ter", "van", "von", "zu"}
)


def share_a_surname(one: str, other: str) -> bool:
    """Return whether two surnames have a word in common, or are the same but for their spelling.

    Case, accents, hyphens and apostrophes do not count, nor how Æ, Ø and Å are written.
    """
    first, second = _words(one), _words(other)
    if first == second:
        return bool(first)
    return bool((first & second) - _PARTICLES)


def _words(surname: str) -> frozenset[str]:
    plain = normalize("NFC", surname).casefold().replace("'", "").replace("\u2019", "")
    return frozenset(_folded(word) for word in _WORD.findall(plain))


def _folded(word: str) -> str:
    letters = normalize("NFKD", word.translate(_WRITTEN))
    folded = "".join(letter for letter in letters if not combining(letter))
    for written, kept in _FOLDED:
        folded = folded.replace(written, kept)
    return folded
