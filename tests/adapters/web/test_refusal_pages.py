"""Refusals and errors at first sight: one sentence, one main button, at most two links, and easy words."""

import re

import pytest
from flask import Flask
from lxml import html

from broker.adapters.web.pages.failure_texts import FORM_ERRORS
from broker.adapters.web.pages.reason_texts import REASONS
from tests.plugins.reason_pages import first_sight, render_reason

PAGES = sorted(set(REASONS) - set(FORM_ERRORS))
CANNOT_SIGN_UP = ["too_young", "several_borrowers", "different_person", "possible_duplicate", "account_case"]


def find(source: str, path: str) -> list[str]:
    """Return the texts or attributes that a path finds on a page."""
    found = html.document_fromstring(source).xpath(path)
    assert isinstance(found, list)
    return [str(each) for each in found]


def page(app: Flask, code: str, language: str) -> str:
    """Return the page of a reason."""
    with app.test_request_context(f"/?lang={language}"):
        return render_reason(code)


@pytest.mark.parametrize("language", ["da", "en"])
@pytest.mark.parametrize("code", PAGES)
def test_a_refusal_is_short(app: Flask, code: str, language: str) -> None:
    """At most 120 words, one main button and two links stand before "More help"."""
    source = page(app, code, language)
    words, links = first_sight(source)
    assert len(words) <= 120
    assert links <= 3
    assert len(find(source, "//main//*[contains(@class, 'main')]/@class")) == 1


@pytest.mark.parametrize("code", PAGES)
def test_a_refusal_is_one_sentence(code: str, app: Flask) -> None:
    """The English source has one sentence; the Danish may have two short ones."""
    with app.test_request_context("/?lang=en"):
        assert len(re.findall(r"[.!?](?:\s|$)", str(REASONS[code].happened))) == 1


@pytest.mark.parametrize("code", CANNOT_SIGN_UP)
def test_sign_up_is_not_offered_to_people_who_cannot(app: Flask, code: str) -> None:
    """A child and a person with two accounts are not offered another account by the page itself."""
    source = page(app, code, "en")
    assert find(source, "//main//*[contains(@class, 'main')]/text()") == ["Contact the library"]
    assert "Sign up for a library account" not in find(source, "//main//ul[@class='destinations']//a/text()")


@pytest.mark.parametrize("language", ["da", "en"])
@pytest.mark.parametrize("name", ["ask", "ask-shared", "inform", "inform-contract", "inform-law"])
def test_a_consent_page_is_short(app: Flask, name: str, language: str) -> None:
    """At most 120 words, and no links beside the answers, one to the whole number and one to another account."""
    words, links = first_sight(app.test_client().get(f"/{name}?lang={language}").text)
    assert len(words) <= 120
    assert links <= 5
