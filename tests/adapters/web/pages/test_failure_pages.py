"""The pages of errors: what is filled in is what a rendering in full would hold, and little is kept."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from flask import Flask, render_template
from flask_babel import format_datetime
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.adapters.web.pages.failure_pages import Failure, FailurePages
from broker.adapters.web.pages.filled_pages import FilledPages
from broker.adapters.web.pages.page_links import LinkedPages
from broker.adapters.web.pages.reason_texts import REASONS, explain
from broker.core.entities import Service, Text
from tests.plugins.drawn import BESIDE_FIXTURES

START = "https://login.library.example/"
HELP = "https://login.library.example/sign-up/faq"
LOGIN = "0123456789abcdef" * 2
RETRY = f"https://login.library.example/login/{LOGIN}/upstream"
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
ADDRESSES = ["/post", f"/{LOGIN}", f"/{LOGIN}?login={LOGIN}/consent", '/post?login="><script>', "/saml/idp/sso?x=1"]
LOANS = Service("my-loans", "https://loans.example", Text("My loans", "Mine lån"), ("wayf",))
BEGUN = Service(
    "books",
    "https://books.example",
    Text('100 % "books" & more', "100 % bøger"),
    ("wayf",),
    url=Text("https://books.example/en", "https://books.example/da"),
)
NASTY = st.sampled_from(['"><script>alert(1)</script>', "&amp;", "'", "%", "%s", "%(reference)s", "{{ 7*7 }}", "æ\n"])
TEXTS = st.lists(NASTY | st.text(max_size=20), max_size=4).map("".join)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=366)).map(NOW.__add__)
FAILURES = st.builds(
    Failure, st.sampled_from(sorted(REASONS)), TEXTS, st.none() | TEXTS, st.sampled_from([None, BEGUN])
)


def pages() -> FailurePages:
    """Give pages of which none is rendered yet."""
    return FailurePages(FilledPages(LinkedPages(START, HELP)))


def full(failure: Failure, now: datetime) -> str:
    """Render a page in full."""
    return render_template(
        "error.html",
        step="error",
        reason=failure.reason,
        reference=failure.reference,
        iso=now.isoformat(),
        moment=format_datetime(now, "long"),
        explain=explain,
        retry=failure.retry,
        back=failure.back,
    )


@given(FAILURES, MOMENTS, st.sampled_from(ADDRESSES), st.sampled_from(["da", "en"]))
@settings(suppress_health_check=BESIDE_FIXTURES, deadline=None)
@pytest.mark.attack(32)
def test_a_page_filled_in_is_the_page_rendered_in_full(
    app: Flask, failure: Failure, now: datetime, address: str, language: str
) -> None:
    """Octet for octet, whatever stands in it, when first rendered and when filled in again after another's."""
    kept = pages()
    other = Failure(failure.reason, "another", failure.retry and "/another", failure.back)
    with app.test_request_context(address, headers={"Accept-Language": language}):
        for told in (failure, other, failure):
            assert kept.page(told, now) == full(told, now)


def test_a_page_is_never_filled_into_another_look(app: Flask) -> None:
    """Reasons, ways on, languages and addresses in turn: what was rendered for one is not used for another."""
    kept = pages()
    reasons = ("transaction_gone", "other_browser", "cookies_needed")
    turns = product(ADDRESSES, ("da", "en"), reasons, (None, RETRY), (None, BEGUN))
    for address, language, reason, retry, back in turns:
        failure = Failure(reason, "K7MW3QZX", retry, back)
        with app.test_request_context(address, headers={"Accept-Language": language}):
            assert kept.page(failure, NOW) == full(failure, NOW)


def test_nothing_of_a_visitor_stays_in_what_is_kept(app: Flask) -> None:
    """Neither reference, moment nor login is in a page that waits to be filled in for the next visitor."""
    kept = pages()
    failure = Failure("cookies_needed", "K7MW3QZX", RETRY)
    with app.test_request_context(f"/{LOGIN}?login={LOGIN}"):
        page = kept.page(failure, NOW)
    values = ("K7MW3QZX", LOGIN, NOW.isoformat())
    assert all(value in page for value in values)
    assert not any(value in str(kept.filled.by_look) for value in values)


def test_however_many_look_up_logins_one_page_is_kept(app: Flask) -> None:
    """A flood of addresses that nobody was given fills no memory."""
    kept = pages()
    for number in range(50):
        failure = Failure("transaction_gone", f"reference {number}")
        with app.test_request_context(f"/{number:032x}?login={number:032x}"):
            assert f"reference {number}" in kept.page(failure, NOW + timedelta(seconds=number))
    assert len(kept.filled.by_look) == 1
