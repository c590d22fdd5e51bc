"""Headers of every kind of page, and the test whether a form came from one of our own."""

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.web.pages.page_security import PageKind, headers, origin, same_origin

BASE = "https://login.library.example"


def directives(kind: PageKind, base_url: str = BASE) -> dict[str, str]:
    """Read the content security policy of a kind of page."""
    parts = headers(kind, base_url)["Content-Security-Policy"].split("; ")
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


@pytest.mark.attack(31)
@pytest.mark.parametrize("kind", ["page", "leaving", "static"])
@pytest.mark.parametrize("base_url", [BASE, "http://localhost:8080"])
@pytest.mark.profile(12)
def test_every_kind_is_closed_but_for_what_it_needs(kind: PageKind, base_url: str) -> None:
    """No kind of page loads from elsewhere, runs inline script, is framed or has its base changed."""
    rules = directives(kind, base_url)
    assert rules["default-src"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "img-src", "font-src")} == {"'self'"}
    assert rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(rules)


@pytest.mark.attack(31)
@pytest.mark.parametrize(
    ("kind", "base_url", "expected"),
    [
        ("page", BASE, "'self'"),
        ("page", "http://localhost:8080", "'self'"),
        ("static", BASE, "'self'"),
        ("leaving", BASE, "'self' https:"),
        (
            "leaving",
            "http://localhost:8080",
            "'self' https: http://localhost:* http://*.localhost:* http://127.0.0.1:*",
        ),
    ],
)
def test_a_form_posts_elsewhere_only_from_a_page_that_leaves(kind: PageKind, base_url: str, expected: str) -> None:
    """Only the pages that post to a service may, and to plain http only where we are plain http ourselves."""
    assert directives(kind, base_url)["form-action"] == expected


@pytest.mark.attack(31)
def test_a_page_is_neither_stored_nor_told_of() -> None:
    """Pages are not stored, their address is not told off-site, their type is not guessed."""
    sent = headers("page", BASE)
    assert sent["Cache-Control"] == "no-store"
    assert sent["Referrer-Policy"] == "same-origin"
    assert sent["X-Content-Type-Options"] == "nosniff"


@pytest.mark.attack(31)
@pytest.mark.parametrize("path", ["/choose", "/nowhere", "/static/nowhere.css"])
def test_every_answer_carries_the_headers(app: Flask, path: str) -> None:
    """Pages and errors carry the headers without their endpoint having to think of it."""
    answer = app.test_client().get(path)
    assert {name: answer.headers[name] for name in headers("page", BASE)} == headers("page", BASE)


def test_stylesheet_and_scripts_may_be_kept(app: Flask) -> None:
    """A browser keeps a static file, whose address changes with its content."""
    with app.test_client().get("/static/style.css") as answer:
        assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.attack(30)
@pytest.mark.parametrize(
    ("sent", "ours"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": BASE}, True),
        ({"Origin": BASE}, True),
        ({}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": BASE}, False),
        ({"Sec-Fetch-Site": "same-origin, cross-site"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://login.library.example"}, False),
        ({"Origin": "https://login.library.example:8443"}, False),
        ({"Origin": "https://login.library.example.evil.example"}, False),
        ({"Origin": "https://library.example"}, False),
        ({"Referer": f"{BASE}/login/1"}, False),
    ],
)
def test_a_form_counts_as_ours_only_by_what_the_browser_says(sent: dict[str, str], ours: bool) -> None:
    """Another site's, a sibling's and a nameless form are refused.

    Source: docs/reference/attacks.md#30.
    """
    assert same_origin(sent, BASE) is ours


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Login.Library.example/broker", "https://login.library.example"),
        ("https://login.library.example:443", "https://login.library.example"),
        ("http://login.localhost:8080/", "http://login.localhost:8080"),
        ("http://127.0.0.1:80/x", "http://127.0.0.1"),
        ("http://[::1]:8080/x", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, expected: str) -> None:
    """Path, capitals and default ports do not count."""
    assert origin(url) == expected


@pytest.mark.attack(30)
@given(st.text(max_size=40))
def test_no_other_text_passes_for_our_origin(sent: str) -> None:
    """Only the very origin is ours."""
    assert same_origin({"Origin": sent}, BASE) is (sent == BASE)
