"""How much is drawn at random: ``make test`` draws the number that a test names, ``make quick`` a fifth of it."""

from typing import Final

from hypothesis import settings

_WHOLE: Final = 100  # what Hypothesis draws where nothing is said, and what ``make test`` leaves so


def drawn(examples: int) -> int:
    """Give how many examples this run draws of so many."""
    return max(1, examples * min(settings().max_examples, _WHOLE) // _WHOLE)
