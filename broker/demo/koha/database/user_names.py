"""Generates user names and card numbers as Koha does for patrons without them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final

_NUMBER: Final = re.compile(r"-?[0-9]+")


def user_names(firstname: str, surname: str) -> Iterator[str]:
    """Yield ``firstname.surname`` without accents, then the same followed by 1, 2, 3 ...

    ``ø`` and ``æ`` stay: they have no accents. A name without letters yields numbers only.

    Source: docs/reference/koha.md#user-names.
    """
    parts = ("".join(filter(str.isalpha, part.lower())) for part in (firstname, surname))
    decomposed = unicodedata.normalize("NFKD", ".".join(filter(None, parts)))
    name = "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")
    if name:
        yield name
    for number in count(1):
        yield f"{name}{number}"


def next_card_number(taken: Iterable[str | None]) -> str:
    """Return the largest numeric card number plus one, or "1"."""
    numbers = [int(card) for card in taken if card and _NUMBER.fullmatch(card)]
    return str(max(numbers, default=0) + 1)
