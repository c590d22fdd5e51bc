"""How the simulated Koha searches: its JSON queries and its plain parameters (library_systems.md 1.3)."""

from collections.abc import Mapping
from typing import Any

_ATTRIBUTES = "extended_attributes."
_COLUMNS = {"code": "type", "type": "type", "value": "value", "attribute": "value"}


class Unanswerable(Exception):  # Koha answers 500 where it means 400
    """A query with an unknown column, an unknown operator, or attributes that are not embedded."""


def holds(query: Any, patron: Mapping[str, Any], *, embedded: bool) -> bool:
    """Say whether a JSON query holds of a patron: an object is an "and", a list an "or"."""
    if isinstance(query, list):
        return any(holds(each, patron, embedded=embedded) for each in query)
    if not isinstance(query, Mapping):
        raise Unanswerable
    wanted = {
        name.removeprefix(_ATTRIBUTES): test
        for name, test in query.items()
        if name.startswith(_ATTRIBUTES)
    }
    answers = [_attribute(wanted, patron, embedded=embedded)] if wanted else []
    for name, test in query.items():
        if name in {"-and", "-or"}:
            parts = [holds(each, patron, embedded=embedded) for each in test]
            answers.append(all(parts) if name == "-and" else any(parts))
        elif not name.startswith(_ATTRIBUTES):
            column = name.removeprefix("me.")
            if column not in patron:
                raise Unanswerable
            answers.append(_passes(test, patron[column]))
    return all(answers)


def _attribute(wanted: Mapping[str, Any], patron: Mapping[str, Any], *, embedded: bool) -> bool:
    if not embedded or not wanted.keys() <= _COLUMNS.keys():
        raise Unanswerable
    rows = patron["extended_attributes"]
    return any(
        all(_passes(test, row[_COLUMNS[name]]) for name, test in wanted.items()) for row in rows
    )


def _passes(test: Any, value: Any) -> bool:
    if isinstance(test, list):
        return any(_passes(each, value) for each in test)
    if isinstance(test, Mapping):
        return all(_operator(name, each, value) for name, each in test.items())
    if test is None or value is None:
        return test is value
    return _text(test) == _text(value)


def _operator(name: str, test: Any, value: Any) -> bool:
    if name == "=":
        return _passes(test, value)
    if name == "!=":
        return not _passes(test, value)
    if name in {"like", "-like"} and isinstance(test, str):
        return _compare("contains", test.strip("%"), value)
    raise Unanswerable


def _text(value: Any) -> str:
    return str(value).casefold()  # the database's collation tells no capitals apart


def _compare(kind: str, wanted: str, value: Any) -> bool:
    """Compare as ``_match`` says; without it Koha finds what merely contains the value."""
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
    """Say whether the plain query parameters hold of a patron; those with an underscore first steer the search."""
    kind = parameters.get("_match", "contains")
    fields = {
        name: wanted
        for name, wanted in parameters.items()
        if not name.startswith("_") and name != "q"
    }
    return all(_compare(kind, wanted, patron.get(name)) for name, wanted in fields.items())
