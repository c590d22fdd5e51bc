"""The indexes of the simulated Koha's patrons: some columns, and all attribute values."""

from collections.abc import Iterator, Mapping, Sequence
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


def find_candidates(patrons: IndexedRows[int], query: Any) -> frozenset[int] | None:
    """Return the patrons that may match a JSON query, or None if no index applies."""
    if isinstance(query, list):
        return _find_for_any(patrons, query)
    if not isinstance(query, Mapping):
        return None
    # A patron must meet all conditions, so one condition with an index is enough to narrow them.
    for name, test in query.items():
        column = name.removeprefix("me.")
        found = _find_for_condition(patrons, column, test)
        if found is not None:
            return found
    return None


def _find_for_any(patrons: IndexedRows[int], queries: Sequence[Any]) -> frozenset[int] | None:
    found: set[int] = set()
    for query in queries:
        some = find_candidates(patrons, query)
        if some is None:
            return None
        found |= some
    return frozenset(found)


def _find_for_condition(patrons: IndexedRows[int], name: str, test: Any) -> frozenset[int] | None:
    if name == _ANY:
        return find_candidates(patrons, test)
    return _find_in_column(patrons, name, test)


def _find_in_column(patrons: IndexedRows[int], name: str, test: Any) -> frozenset[int] | None:
    if name not in {*INDEXED, _ATTRIBUTE}:
        return None
    texts = test
    if not isinstance(test, list):
        texts = [test]
    if not all(isinstance(text, str) for text in texts):
        return None
    found: set[int] = set()
    for text in texts:
        found |= patrons.having((name, fold(text)))
    return frozenset(found)


def _values(row: PatronRow) -> Iterator[IndexKey]:
    for name in INDEXED:
        text = row[name]
        if text is not None:
            yield column_value(name, str(text))
    for attribute in row["extended_attributes"]:
        yield attribute_value(str(attribute["value"]))
