"""Koha's search for patrons by a JSON query (docs/reference/koha.md#search)."""

from collections.abc import Mapping
from typing import Any

from broker.demo.koha.database.collation import same

_ATTRIBUTES = "extended_attributes."
_COLUMNS = {"code": "type", "value": "value"}


class Unanswerable(Exception):  # Koha answers 500 where it means 400
    """A query with an unknown column, an unknown operator, or attributes that are not embedded."""


def holds(query: Any, patron: Mapping[str, Any], *, embedded: bool) -> bool:
    """Return whether a patron matches a JSON query, an object that is an "and".

    The simulation knows the operator "-or", and lists of values. The broker sends no others.
    """
    # Evaluate every condition: an unknown column is an error in any case.
    results = []
    attribute_tests = {}
    for name, test in query.items():
        if name.startswith(_ATTRIBUTES):
            attribute_tests[name.removeprefix(_ATTRIBUTES)] = test
        elif name == "-or":
            parts = [holds(part, patron, embedded=embedded) for part in test]
            results.append(any(parts))
        elif name in patron:
            results.append(_passes(test, patron[name]))
        else:
            raise Unanswerable
    if attribute_tests:
        results.append(_attribute(attribute_tests, patron, embedded=embedded))
    return all(results)


def _attribute(wanted: Mapping[str, Any], patron: Mapping[str, Any], *, embedded: bool) -> bool:
    """Return whether an attribute of the patron passes all tests."""
    if not embedded or not wanted.keys() <= _COLUMNS.keys():
        raise Unanswerable
    for row in patron["extended_attributes"]:
        if all(_passes(test, row[_COLUMNS[name]]) for name, test in wanted.items()):
            return True
    return False


def _passes(test: Any, value: Any) -> bool:
    if isinstance(test, list):
        return any(_passes(part, value) for part in test)
    if isinstance(test, Mapping):
        raise Unanswerable
    if test is None or value is None:
        return test is value
    return same(str(test), str(value))
