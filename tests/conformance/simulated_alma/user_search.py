"""Alma's search for users: words in one field, or in several that all must hold."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.conformance.simulated_alma.refusals import general_error
from tests.conformance.simulated_alma.user_object import UserRow

MOST: Final = 100
_LEAST: Final = 10
_AND: Final = " AND "
_WORD: Final = re.compile(r"\w+")
_ORDERS: Final = ("last_name", "first_name", "primary_id")
# Searched as whole texts, not by their words.
_WHOLE: Final = frozenset({"email", "identifiers"})

_OWN_FIELDS: Final = frozenset({"primary_id", "first_name", "middle_name", "last_name", "job_category", "birth_date"})
# In which list of a user, and in which field there.
_LISTED_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "email": ("email", "email_address"),
    "phone_number": ("phone", "phone_number"),
    "identifiers": ("user_identifier", "value"),
}
_FIELDS: Final = frozenset({*_OWN_FIELDS, *_LISTED_FIELDS})
_ALL: Final = "ALL"


def find_users(rows: Sequence[UserRow], query: str) -> list[UserRow]:
    """Return the users that meet a query such as ``last_name~Prøve AND first_name~Åse``.

    An empty query is met by all. A field that cannot be searched is a general error.
    """
    if not query:
        return list(rows)
    parts = query.split(_AND)
    tests = [_test(part) for part in parts]
    if len(parts) > 1 and any(part.startswith(f"{_ALL}~") for part in parts):
        raise general_error()
    return [row for row in rows if all(test(row) for test in tests)]


def sort_users(rows: Sequence[UserRow], wanted: str) -> list[UserRow]:
    """Return users sorted by a field, else by last name, first name and primary id."""
    if wanted and wanted not in _ORDERS:
        raise general_error()
    keys: Sequence[str] = _ORDERS
    if wanted:
        keys = (wanted, "primary_id")

    def place(row: UserRow) -> list[str]:
        return [row[key].casefold() for key in keys]

    return sorted(rows, key=place)


def page(rows: Sequence[UserRow], limit: str, offset: str) -> Sequence[UserRow]:
    """Return the part of a list that was asked for: 10 users, at most 100, from an offset on."""
    most = _number(limit, _LEAST)
    first = _number(offset, 0)
    if most > MOST:
        raise general_error()
    return rows[first : first + most]


def _number(text: str, default: int) -> int:
    if not text:
        return default
    if not text.isascii() or not text.isdecimal():
        raise general_error()
    return int(text)


def _test(part: str) -> Callable[[UserRow], bool]:
    field, tilde, wanted = part.partition("~")
    if not tilde or field not in {*_FIELDS, _ALL}:
        raise general_error()
    fields = {field}
    if field == _ALL:
        fields = set(_FIELDS)
    folded = wanted.casefold()

    def holds(row: UserRow) -> bool:
        return any(_meets(name, folded, row) for name in fields)

    return holds


def _meets(name: str, wanted: str, row: UserRow) -> bool:
    texts = _texts(name, row)
    if name in _WHOLE:
        return wanted in texts
    words: set[str] = set()
    for text in texts:
        words.update(_WORD.findall(text))
    asked = wanted.replace("_", " ")
    return words.issuperset(_WORD.findall(asked))


def _texts(name: str, row: UserRow) -> list[str]:
    if name in _OWN_FIELDS:
        return [row[name].casefold()]
    listed, field = _LISTED_FIELDS[name]
    return [part[field].casefold() for part in row[listed]]
