"""Paged lists of Koha's REST API, with the headers for links and totals."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final
from urllib.parse import quote, urlencode

from flask import Response, jsonify, request

from broker.demo.koha.database.patron_schema import schema_error
from broker.demo.koha.database.refusals import internal_error, schema_violation

_ALL: Final = -1
_OF_BODY: Final = "HASH(0x55d0c0ffee00)"  # Koha's links contain this instead of a query in the body
_ECHOED: Final = ("x-koha-query", "x-koha-embed")


def page_size(default: int) -> tuple[int, int]:
    """Return the requested page number and page size; 400 if one is not a number."""
    size = _whole("_per_page", default)
    if size < 1 and size != _ALL:
        raise internal_error()
    return _whole("_page", 1), size


def build_page(
    rows: Sequence[Mapping[str, Any]],
    page: tuple[int, int],
    base_total: int,
    total: int | None = None,
) -> Response:
    """Return a page of ``rows`` with its headers.

    ``base_total`` is the size of the table. ``total`` is the number of matches if ``rows`` contains
    only the first of them. As in Koha, ``Link`` repeats the query of URL and headers, including CPR
    numbers, but not the query of the body.

    Source: docs/reference/koha.md#search.
    """
    number, size = page
    part = rows
    if size != _ALL:
        part = rows[(number - 1) * size : number * size]
    response = jsonify(list(part))
    response.headers["Link"] = ",".join(_links(total or len(rows), number, size))
    response.headers["X-Total-Count"] = str(total or len(rows))
    response.headers["X-Base-Total-Count"] = str(base_total)
    return response


def _links(total: int, page: int, size: int) -> list[str]:
    last = 1
    if size != _ALL:
        last = ceil(total / size)
    links = []
    if page > 1:
        links.append(_link(page - 1, size, "prev"))
    if page < last:
        links.append(_link(page + 1, size, "next"))
    links.append(_link(1, size, "first"))
    links.append(_link(last, size, "last"))
    return links


def _link(page: int, size: int, relation: str) -> str:
    sent = [item for item in request.args.items(multi=True) if item[0][:1] != "_"]
    if request.get_data():
        sent.append(("query", _OF_BODY))
    echoed = [(name, request.headers[name]) for name in _ECHOED if name in request.headers]
    parameters = [("_page", str(page)), ("_per_page", str(size)), *sent, *echoed]
    query = urlencode(parameters, quote_via=quote)
    return f'<{request.base_url}?{query}>; rel="{relation}"'


def _whole(name: str, default: int) -> int:
    sent = request.args.get(name, str(default))
    try:
        return int(sent)
    except ValueError:
        raise schema_violation(schema_error("Expected integer - got string.", f"/{name}")) from None
