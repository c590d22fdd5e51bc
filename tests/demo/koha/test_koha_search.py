"""What the simulated Koha finds, and how it is asked (docs/reference/koha.md#search)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

CPR = "0101800000"
ANNA = {"surname": "Prøvesen", "firstname": "Åse", "library_id": "AUL", "category_id": "STUDENT"}


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
    "query",
    ['{"cardnumber":', '{"no_such_column":"x"}', '{"extended_attributes.code":"CPR"}', '{"surname":{"~~":"x"}}'],
)
def test_a_bad_query_is_a_500(ask: Ask, add: Add, query: str) -> None:
    """1.3: bad JSON, an unknown column or operator, and attributes without the embed header."""
    add()
    answer = ask("GET", "/patrons", x_koha_query=query)
    assert (answer.status_code, answer.get_json()["error_code"]) == (500, "internal_server_error")


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
    """1.3: a plain parameter finds what contains it, unless _match=exact; pages are cut."""
    add(cardnumber=CPR)
    add(cardnumber="other")
    assert len(ask("GET", f"/patrons?{parameters}").get_json()) == found


def test_a_query_in_the_body_of_a_get(ask: Ask, add: Add) -> None:
    """1.3: the other way to keep a CPR out of the URL."""
    add(cardnumber=CPR)
    assert ask("GET", "/patrons", {"cardnumber": "x"}).get_json() == []
    assert len(ask("GET", "/patrons", {"cardnumber": CPR}).get_json()) == 1
