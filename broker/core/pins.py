"""Four digits that nobody guesses first: random, no pattern, nothing of the person's own number."""

import secrets
from collections.abc import Callable
from itertools import permutations
from typing import Final

_DIGITS: Final = "0123456789"
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
