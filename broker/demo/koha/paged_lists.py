"""Koha's lists over HTTP: the page asked for, and the headers that tell of the rest."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final
from urllib.parse import quote, urlencode

from flask import Response, jsonify, request

from broker.demo.koha.patron_schema import schema_error
from broker.demo.koha.refusals import broken, unfit

_ALL: Final = -1
_OF_BODY: Final = "HASH(0x55d0c0ffee00)"  # all that Koha's links tell of a query in the body
_ECHOED: Final = ("x-koha-query", "x-koha-embed")


def page_size(default: int) -> tuple[int, int]:
    """Return the page asked for and its size; 400 where one is no number."""
    size = _whole("_per_page", default)
    if size < 1 and size != _ALL:
        raise broken()
    return _whole("_page", 1), size


def paged(
    rows: Sequence[Mapping[str, Any]],
    page: tuple[int, int],
    base_total: int,
    total: int | None = None,
) -> Response:
    """Return the page of ``rows`` with its headers; ``base_total`` is how many there are at all.

    ``total`` is how many match, where ``rows`` are the first of them only.

    ``Link`` repeats the query of URL and headers, CPR numbers too; that of the body it does not.

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
        raise unfit(schema_error("Expected integer - got string.", f"/{name}")) from None
