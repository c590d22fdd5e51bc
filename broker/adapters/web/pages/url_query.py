"""Addresses with a query."""

from collections.abc import Mapping
from urllib.parse import urlencode


def with_query(url: str, fields: Mapping[str, str | None]) -> str:
    """Return ``url`` with the ``fields`` that have a value as its query; bare where none has."""
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{url}?{query}" if query else url
