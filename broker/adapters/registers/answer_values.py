"""Reads single values of a register's answer: what is not as documented is refused, not guessed."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from broker.core.borrowers.registered_person import RegisterRefused

_LONGEST: Final = 200  # letters of one value; the CPR register's own longest is 40
_NUMBER: Final = re.compile("[0-9]{10}")
# Control characters, and halves of characters, which no other program takes for text.
_NO_TEXT: Final = frozenset({"Cc", "Cs"})


def text(row: Mapping[str, Any], name: str) -> str:
    """Return a text of an answer, blanks around and doubled taken out; "" where there is none.

    RegisterRefused where it is no text, longer than 200 letters, or with characters of control.
    """
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise misshapen(name)
    words = " ".join(value.split())
    if not _NO_TEXT.isdisjoint(map(unicodedata.category, words)):
        raise misshapen(name)
    return words


def number(row: Mapping[str, Any], name: str) -> str:
    """Return a CPR number of an answer; "" where there is none.

    RegisterRefused where it is not ten digits: staff would be asked to write it to a borrower.
    """
    found = text(row, name)
    if found and not _NUMBER.fullmatch(found):
        raise misshapen(name)
    return found


def misshapen(name: str) -> RegisterRefused:
    """Return the refusal of an answer of which the field ``name`` is not as documented."""
    return RegisterRefused(f"the field {name} of the answer is not as documented")
