"""Which language a page speaks, and when that is remembered."""

from collections.abc import Callable

import pytest
from flask import Flask, Request, request
from werkzeug.test import EnvironBuilder

from broker.adapters.web.pages.language import choose_language, is_switchable


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "expected"),
    [
        ("lang=en", "lang=da", "da", "en"),
        ("", "lang=en", "da", "en"),
        ("lang=de", "lang=en", "da", "en"),
        ("lang=de", "lang=xx", "en", "en"),
        ("", "", "de, en-GB, da", "en"),
        ("", "", "nb-NO, en", "da"),
        ("", "", "sv", "da"),
        ("", "", "EN_us", "en"),
        ("", "", "de, fr", "da"),
        ("", "", "", "da"),
        ("lang=", "lang=", "*", "da"),
    ],
)
def test_the_person_picks_then_the_browser_then_the_library(
    query: str, cookie: str, accepted: str, expected: str
) -> None:
    """The order is query, cookie, Accept-Language, default; what is neither Danish nor English is passed over."""
    headers = [("Accept-Language", accepted), ("Cookie", cookie)]
    came = Request(EnvironBuilder(query_string=query, headers=headers).get_environ())
    assert choose_language(came, "da") == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/choose"), ("GET", "/choose?lang=de"), ("POST", "/choose?lang=en"), ("GET", "/saml/idp/sso?lang=en")],
)
def test_no_language_cookie_without_a_choice(app: Flask, method: str, path: str) -> None:
    """Not for a visit, an unknown language, a form or a SAML address.

    Source: docs/reference/design.md#4a-2.
    """
    assert "Set-Cookie" not in app.test_client().open(path, method=method).headers


@pytest.mark.attack(31)
def test_a_cacheable_answer_sets_no_cookie(app: Flask) -> None:
    """A proxy would give a cookie in a stylesheet's answer to everybody."""
    with app.test_client().get("/static/style.css?lang=en") as answer:
        assert "public" in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers


def test_the_switch_keeps_the_path_and_drops_the_query(app: Flask) -> None:
    """The other language is a link to the same page; an arrival in the query is not carried along."""
    page = app.test_client().get("/choose?lang=da&arrival=abc").text
    assert 'href="?lang=en"' in page
    assert "abc" not in page


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/choose", True),
        ("POST", "/choose", True),
        ("POST", "/only/post", False),
        ("GET", "/saml/idp/sso", False),
    ],
)
def test_a_page_that_a_link_cannot_ask_for_again_has_no_switch(
    site: Callable[..., Flask], method: str, path: str, expected: bool
) -> None:
    """A SAML message or a form cannot be repeated by a link, so none is offered."""
    app = site()
    app.add_url_rule("/only/post", "only_post", lambda: "", methods=["POST"])
    app.add_url_rule("/saml/idp/sso", "sso", lambda: "", methods=["GET", "POST"])
    with app.test_request_context(path, method=method):
        assert is_switchable(request) is expected
