"""The code of a borrower's letter: ten letters, drawn, spelt in halves, and read as typed."""

import re
import secrets
from typing import Final

from broker.core.input_normalization import without_spaces

# No vowel makes a word of them, and no digit reads as part of a personal number. Ten of twenty: a
# browser that guesses ten times for each number it types is right once in a million million tries.
_LETTERS: Final = "bcdfghjkmnpqrstvwxyz"
_LENGTH: Final = 10
_HALF: Final = 5
_CODE: Final = re.compile(rf"[{_LETTERS}]{{{_LENGTH}}}")


def new_account_code() -> str:
    """Draw a code."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def in_halves(code: str) -> str:
    """Return a code as a letter spells it: ``bcdfg-hjkmn``."""
    return f"{code[:_HALF]}-{code[_HALF:]}"


def account_code_of(typed: str) -> str | None:
    """Return the code that a person typed or pasted; None for other texts."""
    letters = without_spaces(typed).replace("-", "").lower()
    if not _CODE.fullmatch(letters):
        return None
    return letters
