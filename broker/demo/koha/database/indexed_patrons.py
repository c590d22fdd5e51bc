"""The table of the simulated Koha's patrons, with indexes of columns and attribute values."""

from collections import UserDict
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from broker.demo.koha.database.collation import fold
from broker.demo.koha.database.patron_schema import PatronRow

INDEXED: Final = ("cardnumber", "userid", "statistics_1", "date_of_birth", "email")
ATTRIBUTE: Final = "extended_attributes.value"  # of all attribute types
_ANY: Final = "-or"


class PatronTable(UserDict[int, PatronRow]):
    """Patrons by number, in the order of insertion.

    Do not change a stored row: the index would be stale. Assign a new row instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[tuple[str, str], set[int]] = {}

    def having(self, column: str, text: str) -> frozenset[int]:
        """Return the numbers of the patrons that have a text in an indexed column."""
        return frozenset(self._numbers.get((column, fold(text)), ()))

    def __setitem__(self, number: int, row: PatronRow) -> None:
        if number in self:
            self._remove_from_index(number)
        super().__setitem__(number, row)
        for value in _values(row):
            self._numbers.setdefault(value, set()).add(number)

    def __delitem__(self, number: int) -> None:
        self._remove_from_index(number)
        super().__delitem__(number)

    def _remove_from_index(self, number: int) -> None:
        for value in _values(self[number]):
            self._numbers[value].discard(number)

    def find_candidates(self, query: Mapping[str, Any]) -> frozenset[int] | None:
        """Return the patrons that may match a JSON query, or None if no index applies."""
        # A patron must meet all conditions: one condition with an index is enough to narrow them.
        for name, test in query.items():
            if name == _ANY:
                parts = [self.find_candidates(part) for part in test]
                if None not in parts:
                    return frozenset(chain.from_iterable(filter(None, parts)))
            elif name in {*INDEXED, ATTRIBUTE}:
                texts = test if isinstance(test, list) else [test]
                found = [self.having(name, text) for text in texts]
                return frozenset(chain.from_iterable(found))
        return None


def _values(row: PatronRow) -> Iterator[tuple[str, str]]:
    for name in INDEXED:
        text = row[name]
        if text is not None:
            yield name, fold(str(text))
    for attribute in row["extended_attributes"]:
        yield ATTRIBUTE, fold(str(attribute["value"]))
