"""Pages that post a message by themselves: what is filled in is what a rendering in full would hold."""

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from flask import Flask, render_template
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.adapters.web.pages.filled_pages import FilledPages
from broker.adapters.web.pages.page_links import LinkedPages
from broker.adapters.web.pages.self_posting_pages import SelfPostingPages
from broker.core.saml_ports import PostForm
from tests.plugins.drawn import BESIDE_FIXTURES

START = "https://login.library.example/"
HELP = "https://login.library.example/sign-up/faq"
LOGIN = "0123456789abcdef" * 2
ADDRESSES = [
    "/post",
    f"/{LOGIN}",
    f"/{LOGIN}?arrival=0",
    f"/{LOGIN}?login={LOGIN}",
    f"/post?login={LOGIN}/consent",
    '/post?login="><script>',
    "/saml/idp/sso?RelayState=x",
]
# Markup, quotes, whatever stands for something in a template, in a format or in an address.
NASTY = st.sampled_from(
    ['"><script>alert(1)</script>', "&amp;", "'", "%", "%s", "%(action)s", "%%", "{{ 7*7 }}", "{action}", "\\1", "æ\n"]
)
TEXTS = st.lists(NASTY | st.text(max_size=20), max_size=4).map("".join)
FORMS = st.builds(PostForm, TEXTS, st.fixed_dictionaries({"SAMLResponse": TEXTS}, optional={"RelayState": TEXTS}))


def full(template: str, form: PostForm, values: Mapping[str, Any]) -> str:
    """Render a page in full."""
    return render_template(template, form=form, **values)


@given(FORMS, TEXTS, st.booleans(), st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(["da", "en"])))
@settings(suppress_health_check=BESIDE_FIXTURES, deadline=None)
@pytest.mark.attack(32)
def test_a_page_filled_in_is_the_page_rendered_in_full(
    app: Flask, form: PostForm, label: str, shared: bool, asked: tuple[str, str]
) -> None:
    """Octet for octet, whatever stands in form, names and address, when first rendered and when filled in again."""
    address, language = asked
    pages = SelfPostingPages(FilledPages(LinkedPages(START, HELP)))
    answer = {"step": "issue", "service": label, "shared": shared}
    request = {"step": "authenticate", "party": label}
    other = PostForm("https://other.example/", dict.fromkeys(form.fields, "another's"))
    with app.test_request_context(address, headers={"Accept-Language": language}):
        for template, values in (("post.html", answer), ("peer_post.html", request)):
            expected = full(template, form, values)
            assert pages.page(template, form, **values) == expected
            assert pages.page(template, other, **values) == full(template, other, values)
            assert pages.page(template, form, **values) == expected


def test_a_page_is_never_filled_into_another_look(app: Flask) -> None:
    """Addresses, languages, fields and templates in turn: what was rendered for one is not used for another."""
    pages = SelfPostingPages(FilledPages(LinkedPages(START, HELP)))
    fields = [{"SAMLResponse": "x"}, {"SAMLResponse": "x", "RelayState": "y"}, {"SAMLRequest": "x"}]
    values: Mapping[str, Any] = {"service": "My loans", "party": "My loans", "shared": False}
    turns = product(ADDRESSES, ("da", "en"), ("post.html", "peer_post.html"), ("issue", "logout"), fields)
    for address, language, template, step, posted in turns:
        form = PostForm("https://loans.example/acs", posted)
        with app.test_request_context(address, headers={"Accept-Language": language}):
            expected = full(template, form, {"step": step, **values})
            assert pages.page(template, form, step=step, **values) == expected


def test_nothing_of_a_login_stays_in_what_is_kept(app: Flask) -> None:
    """Neither message nor service's address nor the login's id is in a page that waits to be filled in."""
    pages = SelfPostingPages(FilledPages(LinkedPages(START, HELP)))
    form = PostForm("https://loans.example/acs", {"SAMLResponse": "c2VjcmV0", "RelayState": "state-of-one"})
    with app.test_request_context(f"/{LOGIN}?login={LOGIN}"):
        page = pages.page("post.html", form, step="issue", service="My loans", shared=False)
    kept = str(pages.filled.by_look)
    assert all(value in page for value in (form.action, *form.fields.values(), LOGIN))
    assert not any(value in kept for value in (form.action, *form.fields.values(), LOGIN))


def test_logins_share_a_page_and_looks_do_not(app: Flask) -> None:
    """A page is rendered once for a language, service and kind of computer, however many log in by it."""
    pages = SelfPostingPages(FilledPages(LinkedPages(START, HELP)))
    for language in ("da", "en"):
        for number in range(20):
            form = PostForm(f"https://loans.example/{number}", {"SAMLResponse": str(number)})
            with app.test_request_context(f"/{number:032x}?arrival={number}", headers={"Accept-Language": language}):
                for shared in (False, True):
                    page = pages.page("post.html", form, step="issue", service="My loans", shared=shared)
                    assert ("autopost.js" in page) is not shared
    assert len(pages.filled.by_look) == 4


@pytest.mark.long("makes more pages than are kept")
def test_what_is_kept_is_bounded(app: Flask) -> None:
    """However many names of services come, only so many pages are kept."""
    pages = SelfPostingPages(FilledPages(LinkedPages(START, HELP)))
    form = PostForm("https://loans.example/acs", {"SAMLResponse": "x"})
    with app.test_request_context("/post"):
        for number in range(1_050):
            page = pages.page("peer_post.html", form, step="authenticate", party=f"Peer {number}")
            assert re.search(rf"Peer {number}\b", page)
    assert len(pages.filled.by_look) <= 1_000
