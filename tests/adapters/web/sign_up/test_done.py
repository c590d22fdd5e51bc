"""The page where a sign-up is done: it says what is so of the account, and promises no more than comes."""

import re
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from broker.demo.run.demo_folder import Setting
from tests.plugins.deployment import Deployment, Person, find_text, mark
from tests.plugins.policy_copies import copy_site
from tests.plugins.signup_pages import words

PIN_MAIL = "with a link to choose a PIN. The link works"


def sign_up(deployment: Deployment, name: str, affiliation: str = "student") -> tuple[Person, TestResponse]:
    """Sign up by the university, agree, and give the browser and the page it ends on, in English."""
    person = deployment.person()
    person.client.set_cookie("lang", "en", domain="broker.localhost")
    page = person.sign_up(name, affiliation)
    return person, end_sign_up(person, page) if mark(page)[0] == "ask" else page


def end_sign_up(person: Person, page: TestResponse) -> TestResponse:
    """Agree, and give the page that comes of it."""
    answer = person.agree(page)
    return person.get(answer.location) if answer.status_code == 303 else answer


def rows(deployment: Deployment, userid: str) -> list[dict[str, object]]:
    """Give the borrowers with a user id."""
    return [each for each in deployment.koha.patrons.rows() if each["userid"] == userid]


def read_result(page: TestResponse) -> tuple[str, str]:
    """Give what the page says came of it, and what the person is to the library."""
    assert mark(page)[0] == "done", mark(page)
    shown = page.get_data(as_text=True)
    label = re.search(r'<dd id="account">([^<]*)</dd>', shown)
    return mark(page)[1], label[1] if label else ""


def test_after_declining_an_upgrade_the_page_says_that_the_account_stays(deployment: Deployment) -> None:
    """The page names the old category and says that nothing was changed."""
    person, offer = sign_up(deployment, "jytte")
    assert mark(offer)[0] == "upgrade"
    page = end_sign_up(person, person.press(offer, answer="no"))
    assert rows(deployment, "2405014087")[0]["category_id"] == "PRIVATE"
    assert read_result(page) == ("unchanged", "Private user")
    said = words(page.get_data(as_text=True))
    assert "You said no to the change, so your account stays as it was" in said
    assert "Student" not in said
    assert "has been updated" not in said


def test_after_declining_consent_the_page_says_that_no_account_was_made(deployment: Deployment) -> None:
    """Also in the other language, by the link of the page."""
    person = deployment.person()
    page = person.agree(person.sign_up("asta", "student"), answer="no")
    page = person.get(page.location) if page.status_code == 303 else page
    assert mark(page) == ("refuse", "consent_refused")
    other = person.get(page.request.path + "?lang=en")
    assert "You have not been signed up" in words(other.get_data(as_text=True))
    assert "Du er ikke blevet oprettet" in words(page.get_data(as_text=True))
    assert rows(deployment, "1403044004") == []


@pytest.fixture
def environment(request: pytest.FixtureRequest, setting: Setting, tmp_path: Path) -> dict[str, str]:
    """Give what the environment says; with the parameter "no PIN", policies under which none is mailed."""
    if getattr(request, "param", "") != "no PIN":
        return {}
    site = copy_site(setting, tmp_path)
    for file in (site / "policies").glob("*.yaml"):
        file.write_text(file.read_text().replace("\n  category: ", "\n  pin: none\n  category: "))
    return {"BROKER_SITE": str(site)}


@pytest.mark.parametrize("environment", ["no PIN"], indirect=True)
def test_without_a_pin_mail_the_page_offers_to_choose_a_pin_now(deployment: Deployment) -> None:
    """A policy with ``pin: none`` makes an account to which no link is mailed, and promises none."""
    _, page = sign_up(deployment, "asta")
    assert read_result(page)[0] == "created"
    said = words(page.get_data(as_text=True))
    assert PIN_MAIL not in said
    assert "Choose a PIN" in said


@pytest.mark.parametrize(
    ("environment", "typed"),
    [
        ({}, "your CPR number and your PIN"),
        (
            {"BROKER_LIBRARY__CARD_NUMBER": "system"},
            "your CPR number here, the number on your library card at the machines, and your PIN",
        ),
    ],
)
def test_the_page_says_what_to_type(deployment: Deployment, environment: dict[str, str], typed: str) -> None:
    """In words: no page shows the number, nor the library system's own; the health card only where it is the card."""
    if environment:
        there = deployment.koha.patrons.administration
        deployment.koha.patrons.administration = there.change_preferences(auto_member_num=True)
    _, page = sign_up(deployment, "asta")
    assert find_text(page, "//dd[@id='typed']/text()") == typed
    shown = page.get_data(as_text=True)
    assert ("yellow health insurance card" in shown) is ("card at the machines" not in typed)
    assert "1403044004" not in shown
    assert f">{rows(deployment, '1403044004')[0]['patron_id']}<" not in shown
