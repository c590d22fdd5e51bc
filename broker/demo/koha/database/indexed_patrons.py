"""The indexes of the simulated Koha's patrons: some columns, and all attribute values."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from broker.demo.circulation.indexed_rows import IndexedRows
from broker.demo.koha.database.collation import fold
from broker.demo.koha.database.patron_schema import PatronRow

INDEXED: Final = ("cardnumber", "userid", "statistics_1", "date_of_birth", "email")
_ATTRIBUTE: Final = "extended_attributes.value"
_ANY: Final = "-or"

IndexKey = tuple[str, str]


def create_patron_table() -> IndexedRows[int]:
    """Return an empty table of patrons."""
    return IndexedRows(_values)


def column_value(column: str, text: str) -> IndexKey:
    """Return the index key of a text in a column."""
    return column, fold(text)


def attribute_value(text: str) -> IndexKey:
    """Return the index key of an attribute's text, for all attribute types."""
    return _ATTRIBUTE, fold(text)


def find_candidates(patrons: IndexedRows[int], query: Mapping[str, Any]) -> frozenset[int] | None:
    """Return the patrons that may match a JSON query, or None if no index applies."""
    # A patron must meet all conditions, so one condition with an index is enough to narrow them.
    for name, test in query.items():
        if name == _ANY:
            parts = [find_candidates(patrons, part) for part in test]
            if None not in parts:
                return frozenset(chain.from_iterable(filter(None, parts)))
        elif name in {*INDEXED, _ATTRIBUTE}:
            texts = test if isinstance(test, list) else [test]
            found = [patrons.having((name, fold(text))) for text in texts]
            return frozenset(chain.from_iterable(found))
    return None


def _values(row: PatronRow) -> Iterator[IndexKey]:
    for name in INDEXED:
        text = row[name]
        if text is not None:
            yield column_value(name, str(text))
    for attribute in row["extended_attributes"]:
        yield attribute_value(str(attribute["value"]))
