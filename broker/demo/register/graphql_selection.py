"""Reads the selection of a GraphQL query: its fields, and what is selected below them."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_TOKEN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[{}():\[\]!$,]|\S")

Selection = Mapping[str, "Selection"]


class NotUnderstood(ValueError):
    """A query that this reader, or the service that it stands for, does not take."""


def selection(query: str) -> Selection:
    """Return the fields of a query, each with those below it; arguments are left out.

    NotUnderstood where it is not well-formed, or gives a field another name (an alias), which the
    service refuses.
    """
    tokens = iter(_TOKEN.findall(query))
    for token in tokens:
        if token == "{":
            return _fields(tokens)
    raise NotUnderstood("no selection")


def _fields(tokens: Iterator[str]) -> Selection:
    found: dict[str, Selection] = {}
    name = ""
    for token in tokens:
        match token:
            case "}":
                return found
            case "{":
                found[name] = _fields(tokens)
            case "(":
                _leave_out_arguments(tokens)
            case ":":
                raise NotUnderstood("aliases are not allowed")
            case _:
                name = token
                found[name] = {}
    raise NotUnderstood("a bracket is missing")


def _leave_out_arguments(tokens: Iterator[str]) -> None:
    for token in tokens:
        if token == ")":
            return
    raise NotUnderstood("a bracket is missing")
