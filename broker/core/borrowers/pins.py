"""The rules for a PIN, and for the identifier that a borrower types with it."""

import re
from collections.abc import Collection
from datetime import date
from itertools import permutations
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.input_normalization import remove_spaces

PIN_LENGTH: Final = 4
_DIGITS: Final = "0123456789"
_FOUR: Final = re.compile(r"[0-9]{4}")
_CPR: Final = re.compile(r"([0-9]{6})-?([0-9]{4})")
# A card number or a user name, in ASCII. Other digits (U+0661) are not accepted: read as ASCII
# digits they could be another person's number.
_CARD_OR_USER_NAME: Final = re.compile(r"[\x21-\x7e]{1,40}")
_DIGIT_SEQUENCES: Final = _DIGITS + _DIGITS[:3]
_CENTURIES: Final = ("19", "20")


def is_guessable(pin: str) -> bool:
    """Return whether ``pin`` is one that a thief tries first: pairs, a run, a birth year."""
    if pin[:2] == pin[2:]:
        return True
    if pin in _DIGIT_SEQUENCES or pin[::-1] in _DIGIT_SEQUENCES:
        return True
    return pin.startswith(_CENTURIES)


def suggest_by_cpr(cpr: str) -> frozenset[str]:
    """Return the PINs that a CPR number suggests.

    They are any four of its digits in a row, and two parts of the birth date.
    """
    day, month, year = cpr[:2], cpr[2:4], cpr[4:6]
    in_a_row = {cpr[start : start + 4] for start in range(len(cpr) - 3)}
    return frozenset(in_a_row | _pairs(day, month, year))


def suggest_by_birth_date(born: date) -> frozenset[str]:
    """Return the PINs that a date of birth suggests: two of day, month, year, and the full year."""
    day, month, year = born.strftime("%d %m %y").split()
    full_year = f"{born.year:04}"
    return frozenset({full_year} | _pairs(day, month, year))


def _pairs(*parts: str) -> set[str]:
    return set(map("".join, permutations(parts, 2)))


def list_suggested_pins(borrower: Borrower) -> frozenset[str]:
    """Return the PINs that the borrower's birth date and CPR number suggest."""
    pins: set[str] = set()
    if borrower.born:
        pins |= suggest_by_birth_date(borrower.born)
    if borrower.cpr:
        pins |= suggest_by_cpr(borrower.cpr)
    return frozenset(pins)


def find_pin_fault(pin: str, avoid: Collection[str]) -> str | None:
    """Return why a person may not have the ``pin`` they chose, or None.

    A PIN must have four digits, must not be easy to guess, and must not be one of ``avoid``.
    """
    if not _FOUR.fullmatch(pin):
        return "pin_not_four"
    if is_guessable(pin) or pin in avoid:
        return "pin_trivial"
    return None


def read_identifier(typed: str) -> str | None:
    """Return the CPR number, card number or user name that a person typed; None for other texts.

    A CPR number becomes ten digits. Any other text keeps its zeros and its case. The library system
    decides what it means (docs/reference/design.md#4d).
    """
    text = remove_spaces(typed)
    number = _CPR.fullmatch(text)
    if number:
        return number[1] + number[2]
    if _CARD_OR_USER_NAME.fullmatch(text):
        return text
    return None
