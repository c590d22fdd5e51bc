"""Searches in the simulated Koha (docs/reference/koha.md#search)."""

import json
from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

CPR = "0101800000"


Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


def test_link_repeats_a_query_of_header_and_url_but_not_of_the_body(ask: Ask, add: Add) -> None:
    """A CPR number sent as a header comes back as part of a URL; sent as a body it does not."""
    add(cardnumber=CPR)
    query = json.dumps({"cardnumber": CPR})
    by_header = ask("GET", "/patrons", x_koha_query=query).headers["Link"]
    by_url = ask("GET", f"/patrons?q={query}").headers["Link"]
    by_body = ask("GET", "/patrons", {"cardnumber": CPR}).headers["Link"]
    assert [CPR in link for link in (by_header, by_url, by_body)] == [True, True, False]
    assert by_body == (
        '<http://localhost/api/v1/patrons?_page=1&_per_page=20&query=HASH%280x55d0c0ffee00%29>; rel="first",'
        '<http://localhost/api/v1/patrons?_page=1&_per_page=20&query=HASH%280x55d0c0ffee00%29>; rel="last"'
    )


def test_a_parameter_that_is_no_column_finds_everybody(ask: Ask, add: Add) -> None:
    """Koha ignores an unknown parameter: a misspelled column finds every patron."""
    add()
    assert len(ask("GET", "/patrons?card_number=9").get_json()) == 1
