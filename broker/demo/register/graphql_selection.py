"""Reads the selection of a GraphQL query: its fields, and what is selected below them."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_TOKEN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[{}():\[\]!$,]|\S")

Selection = Mapping[str, "Selection"]


class NotUnderstood(ValueError):
    """Raised for a query that the service refuses or this parser does not know."""


def selection(query: str) -> Selection:
    """Return the fields of a query, each with its subfields; arguments are ignored.

    Raise NotUnderstood if the query is not well-formed or has an alias, which the service refuses.
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
                _skip_arguments(tokens)
            case ":":
                raise NotUnderstood("aliases are not allowed")
            case _:
                name = token
                found[name] = {}
    raise NotUnderstood("a bracket is missing")


def _skip_arguments(tokens: Iterator[str]) -> None:
    for token in tokens:
        if token == ")":
            return
    raise NotUnderstood("a bracket is missing")
