"""The indexes of the simulated Koha's patrons: the columns that are searched, and attributes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from broker.demo.circulation.indexed_rows import IndexedRows
from broker.demo.koha.collation import folded
from broker.demo.koha.patron_schema import PatronRow

INDEXED: Final = ("cardnumber", "userid", "statistics_1", "date_of_birth", "email")
_ATTRIBUTE: Final = "extended_attributes.value"
_ANY: Final = "-or"

Value = tuple[str, str]


def indexed_patrons() -> IndexedRows[int]:
    """Return a table without any patron."""
    return IndexedRows(_values)


def column_value(column: str, text: str) -> Value:
    """Return the value that a text of an indexed column is found by."""
    return column, folded(text)


def attribute_value(text: str) -> Value:
    """Return the value that the text of an attribute is found by, of whatever type."""
    return _ATTRIBUTE, folded(text)


def candidates(patrons: IndexedRows[int], query: Any) -> frozenset[int] | None:
    """Return the numbers of patrons outside of whom nobody meets a JSON query; None: of all."""
    if isinstance(query, list):
        return _of_any(patrons, query)
    if not isinstance(query, Mapping):
        return None
    for name, test in query.items():
        column = name.removeprefix("me.")
        found = _of_condition(patrons, column, test)
        if found is not None:
            return found
    return None


def _of_any(patrons: IndexedRows[int], queries: Sequence[Any]) -> frozenset[int] | None:
    found: set[int] = set()
    for query in queries:
        some = candidates(patrons, query)
        if some is None:
            return None
        found |= some
    return frozenset(found)


def _of_condition(patrons: IndexedRows[int], name: str, test: Any) -> frozenset[int] | None:
    if name == _ANY:
        return candidates(patrons, test)
    return _of_column(patrons, name, test)


def _of_column(patrons: IndexedRows[int], name: str, test: Any) -> frozenset[int] | None:
    if name not in {*INDEXED, _ATTRIBUTE}:
        return None
    texts = test
    if not isinstance(test, list):
        texts = [test]
    if not all(isinstance(text, str) for text in texts):
        return None
    found: set[int] = set()
    for text in texts:
        found |= patrons.having((name, folded(text)))
    return frozenset(found)


def _values(row: PatronRow) -> Iterator[Value]:
    for name in INDEXED:
        text = row[name]
        if text is not None:
            yield column_value(name, str(text))
    for attribute in row["extended_attributes"]:
        yield attribute_value(str(attribute["value"]))
