"""Searches in the simulated Koha (docs/reference/koha.md#search)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

CPR = "0101800000"


Ask = Callable[..., TestResponse]
Add = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("query", "headers", "found"),
    [
        ({"cardnumber": CPR}, {}, 1),
        ({"cardnumber": CPR[:6]}, {}, 0),
        ([{"cardnumber": ["x", CPR]}, {"userid": [CPR]}], {}, 1),
        ({"surname": {"like": "%røve%"}}, {}, 2),
        (
            {"extended_attributes.code": "CPR", "extended_attributes.value": CPR},
            {"x_koha_embed": "extended_attributes"},
            1,
        ),
        (
            {"extended_attributes.code": "X", "extended_attributes.value": CPR},
            {"x_koha_embed": "extended_attributes"},
            0,
        ),
    ],
)
def test_queries_in_the_header(ask: Ask, add: Add, query: object, headers: dict[str, str], found: int) -> None:
    """1.3: exact, a list is an "or", attributes with the embed header."""
    add(cardnumber=CPR, extended_attributes=[{"type": "CPR", "value": CPR}])
    add(cardnumber="other")
    answer = ask("GET", "/patrons", x_koha_query=json.dumps(query), **headers)
    assert (len(answer.get_json()), answer.headers["X-Total-Count"]) == (found, str(found))
    assert answer.headers["X-Base-Total-Count"] == "2"


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ("cardnumber=010180", 1),
        ("cardnumber=010180&_match=exact", 0),
        (f"cardnumber={CPR}&_match=exact", 1),
        ('q={"cardnumber":"x"}', 0),
        ("_per_page=1", 1),
        ("_per_page=1&_page=3", 0),
        ("_per_page=-1", 2),
    ],
)
def test_plain_parameters(ask: Ask, add: Add, parameters: str, found: int) -> None:
    """1.3: a plain parameter finds what contains it, unless _match=exact; results are paged."""
    add(cardnumber=CPR)
    add(cardnumber="other")
    assert len(ask("GET", f"/patrons?{parameters}").get_json()) == found


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


@pytest.mark.parametrize(
    ("page", "relations"),
    [(1, ["next", "first", "last"]), (2, ["prev", "next", "first", "last"]), (3, ["prev", "first", "last"])],
)
def test_every_list_has_totals_and_links(ask: Ask, add: Add, page: int, relations: list[str]) -> None:
    """The headers have totals and links to the other pages, also for libraries."""
    for _ in range(3):
        add()
    answer = ask("GET", f"/patrons?_per_page=1&_page={page}")
    assert [part.split('"')[1] for part in answer.headers["Link"].split(",")] == relations
    assert (answer.headers["X-Total-Count"], answer.headers["X-Base-Total-Count"]) == ("3", "3")
    assert {"Link", "X-Total-Count", "X-Base-Total-Count"} <= set(
        ask("GET", "/libraries", client="none").headers.keys()
    )


def test_a_parameter_that_is_no_column_finds_everybody(ask: Ask, add: Add) -> None:
    """Koha ignores an unknown parameter: a misspelled column finds every patron."""
    add()
    assert len(ask("GET", "/patrons?card_number=9").get_json()) == 1
