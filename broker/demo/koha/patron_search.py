"""Koha's search for patrons: JSON queries and plain parameters (docs/reference/koha.md#search)."""

from collections.abc import Callable, Mapping
from typing import Any

from broker.demo.koha.database.collation import fold

_ATTRIBUTES = "extended_attributes."
_JUNCTIONS: Mapping[str, Callable[[list[bool]], bool]] = {"-and": all, "-or": any}
_COLUMNS = {"code": "type", "type": "type", "value": "value", "attribute": "value"}


class Unanswerable(Exception):  # Koha answers 500 where it means 400
    """A query with an unknown column, an unknown operator, or attributes that are not embedded."""


def holds(query: Any, patron: Mapping[str, Any], *, embedded: bool) -> bool:
    """Return whether a patron matches a JSON query: an object is an "and", a list an "or"."""
    if isinstance(query, list):
        return any(holds(part, patron, embedded=embedded) for part in query)
    if not isinstance(query, Mapping):
        raise Unanswerable
    # Evaluate every condition: an unknown column is an error in any case.
    results = []
    attribute_tests = {}
    for name, test in query.items():
        if name.startswith(_ATTRIBUTES):
            attribute_tests[name.removeprefix(_ATTRIBUTES)] = test
        elif name in _JUNCTIONS:
            parts = [holds(part, patron, embedded=embedded) for part in test]
            results.append(_JUNCTIONS[name](parts))
        else:
            results.append(_column(name.removeprefix("me."), test, patron))
    if attribute_tests:
        results.append(_attribute(attribute_tests, patron, embedded=embedded))
    return all(results)


def _column(name: str, test: Any, patron: Mapping[str, Any]) -> bool:
    if name not in patron:
        raise Unanswerable
    return _passes(test, patron[name])


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
        return all(_operator(name, part, value) for name, part in test.items())
    if test is None or value is None:
        return test is value
    return _text(test) == _text(value)


def _operator(name: str, test: Any, value: Any) -> bool:
    if name in {"=", "-in"}:
        return _passes(test, value)
    if name == "!=":
        return not _passes(test, value)
    if name in {"like", "-like"} and isinstance(test, str):
        return _compare("contains", test.strip("%"), value)
    raise Unanswerable


def _text(value: Any) -> str:
    return fold(str(value))


def _compare(kind: str, wanted: str, value: Any) -> bool:
    """Compare two values. ``kind`` is the parameter ``_match``; Koha's default is "contains"."""
    if value is None:
        return False
    part, whole = _text(wanted), _text(value)
    tests = {
        "contains": part in whole,
        "exact": part == whole,
        "starts_with": whole.startswith(part),
        "ends_with": whole.endswith(part),
    }
    if kind not in tests:
        raise Unanswerable
    return tests[kind]


def parameters_hold(parameters: Mapping[str, str], patron: Mapping[str, Any]) -> bool:
    """Return whether a patron matches the plain query parameters.

    As in Koha, a parameter that is no column is ignored, so that it matches every patron.
    """
    kind = parameters.get("_match", "contains")
    for name, wanted in parameters.items():
        if name not in patron:
            continue
        if not _compare(kind, wanted, patron[name]):
            return False
    return True
