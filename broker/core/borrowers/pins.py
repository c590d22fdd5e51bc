"""Four digits that nobody guesses first: random, no pattern, nothing of the person's own number."""

import re
import secrets
from collections.abc import Callable, Collection
from datetime import date
from itertools import permutations
from typing import Final, Literal

from broker.core.typed_codes import without_invisible, without_spaces

_DIGITS: Final = "0123456789"
_FOUR: Final = re.compile(r"[0-9]{4}")
_CPR: Final = re.compile(r"([0-9]{6})-?([0-9]{4})")
# Never nine digits: a CPR number that a spreadsheet has robbed of its first nought is no borrower
# number to be shown.
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}")
_FEW: Final = 5  # digits that are no date of birth yet
_LONGEST: Final = 40
_RUNS: Final = _DIGITS + _DIGITS[:3]


def new_pin(avoid: Callable[[str], bool]) -> str:
    """Draw a PIN that is neither a pattern nor one that ``avoid`` names; ``avoid`` must leave some."""
    while True:
        pin = f"{secrets.randbelow(10_000):04}"
        if not (guessable(pin) or avoid(pin)):
            return pin


def guessable(pin: str) -> bool:
    """Say whether ``pin`` is what a thief tries first: pairs, a run up or down, a year of someone's life."""
    return pin[:2] == pin[2:] or pin in _RUNS or pin[::-1] in _RUNS or pin[:2] in {"19", "20"}


def suggested_by(cpr: str) -> frozenset[str]:
    """Give the PINs that a CPR number suggests: any four of its digits in a row, two parts of the birth date."""
    parts = (cpr[:2], cpr[2:4], cpr[4:6])
    windows = {cpr[start : start + 4] for start in range(len(cpr) - 3)}
    return frozenset(windows | {"".join(pair) for pair in permutations(parts, 2)})


def suggested_by_birth(born: date) -> frozenset[str]:
    """Give the PINs that a date of birth suggests: any two of day, month and year, and the year in full."""
    parts = (f"{born.day:02}", f"{born.month:02}", f"{born.year % 100:02}")
    return frozenset({f"{born.year:04}"} | {"".join(pair) for pair in permutations(parts, 2)})


def unfit(pin: str, avoid: Collection[str]) -> Literal["pin_not_four", "pin_trivial"] | None:
    """Say why a person may not have the ``pin`` they chose, or None: not four digits, or guessed first."""
    if not _FOUR.fullmatch(pin):
        return "pin_not_four"
    return "pin_trivial" if guessable(pin) or pin in avoid else None


def identifier_of(typed: str) -> str | None:
    """Give the digits of a CPR number (ten) or a borrower number (fewer) as a person types them; None for others."""
    text = without_spaces(typed)
    number = _CPR.fullmatch(text)
    if number:
        return number[1] + number[2]
    return text if _NUMBER.fullmatch(text) else None


def shown_again(typed: str) -> str:
    """Give what of a number that somebody typed may stand in its field again: nothing that could be a CPR number.

    Nor a mistyped one, which is not ten digits: not even to whoever has just typed it (invariant
    4).
    """
    digits = identifier_of(typed)
    if digits is not None:
        return "" if is_cpr(digits) else digits
    return (
        "" if sum(each.isdigit() for each in typed) > _FEW else without_invisible(typed)[:_LONGEST]
    )


def is_cpr(digits: str) -> bool:
    """Say whether what ``identifier_of`` gave is a CPR number."""
    return bool(_CPR.fullmatch(digits))
