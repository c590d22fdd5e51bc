"""Generates user names and card numbers as Koha does for patrons without them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final

_LEFT_OUT: Final = frozenset("PSZNC")  # punctuation, symbols, blanks, digits, controls
_NUMBER: Final = re.compile(r"-?[0-9]+")


def user_names(firstname: str, surname: str) -> Iterator[str]:
    """Yield ``firstname.surname`` without accents, then the same followed by 1, 2, 3 ...

    ``ø`` and ``æ`` stay: they have no accents. A name without letters yields numbers only.

    Source: docs/reference/koha.md#user-names.
    """
    given = _letters(firstname)
    family = _letters(surname)
    full = f"{given}.{family}" if given else family
    decomposed = unicodedata.normalize("NFKD", full.lower())
    name = "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")
    if name:
        yield name
    for number in count(1):
        yield f"{name}{number}"


def next_card_number(taken: Iterable[str | None]) -> str:
    """Return the largest numeric card number plus one, or "1"."""
    numbers = [int(card) for card in taken if card and _NUMBER.fullmatch(card)]
    return str(max(numbers, default=0) + 1)


def _letters(text: str) -> str:
    return "".join(
        character for character in text if unicodedata.category(character)[0] not in _LEFT_OUT
    )
