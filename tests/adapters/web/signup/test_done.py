"""The page where a sign-up is done: it says what is so of the account, and promises no more than comes."""

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from broker.demo.run.demo_folder import Setting
from tests.plugins.house import House, Person, found, mark
from tests.plugins.signup_pages import words

PIN_MAIL = "We send you a mail with a link to choose a PIN later"


def signed_up(house: House, name: str, affiliation: str = "student") -> tuple[Person, TestResponse]:
    """Sign up by the university, agree, and give the browser and the page it ends on, in English."""
    person = house.person()
    person.client.set_cookie("lang", "en", domain="broker.localhost")
    page = person.sign_up(name, affiliation)
    return person, ended(person, page) if mark(page)[0] == "ask" else page


def ended(person: Person, page: TestResponse) -> TestResponse:
    """Agree, and give the page that comes of it."""
    answer = person.agree(page)
    return person.get(answer.location) if answer.status_code == 303 else answer


def rows(house: House, userid: str) -> list[dict[str, object]]:
    """Give the borrowers with a user id."""
    return [each for each in house.koha.patrons.rows() if each["userid"] == userid]


def told(page: TestResponse) -> tuple[str, str]:
    """Give what the page says came of it, and what the person is to the library."""
    assert mark(page)[0] == "done", mark(page)
    shown = page.get_data(as_text=True)
    label = re.search(r'<dd id="account">([^<]*)</dd>', shown)
    return mark(page)[1], label[1] if label else ""


def test_who_declines_another_category_is_told_that_it_stays(house: House) -> None:
    """The account is what it was, in what it is called and in what is said of it, although a name was filled in."""
    person, offer = signed_up(house, "jytte")
    assert mark(offer)[0] == "upgrade"
    page = ended(person, person.press(offer, answer="no"))
    assert rows(house, "2405014087")[0]["category_id"] == "PRIVATE"
    assert told(page) == ("unchanged", "Private user")
    said = words(page.get_data(as_text=True))
    assert "You said no to the change: your account stays as it is" in said
    assert "Student" not in said
    assert "brought up to date" not in said


def test_an_account_of_a_category_that_no_policy_names_is_called_nothing(house: House) -> None:
    """The page leaves out what it cannot know, instead of the person's latest affiliation."""
    patrons = house.koha.patrons
    categories = patrons.administration.categories
    patrons.administration = replace(patrons.administration, categories={**categories, "STAFF": categories["TEMP"]})
    desk = {"library_id": "AUL", "category_id": "STAFF", "cardnumber": "4004", "userid": "1403044004"}
    made = patrons.create({**desk, "surname": "Ravn", "firstname": "Asta"})
    _, page = signed_up(house, "asta")
    assert f">{made['patron_id']}<" not in page.get_data(as_text=True)
    assert told(page) == ("unchanged", "")


def test_a_second_sign_up_promises_no_pin(house: House) -> None:
    """What was made before is there already: no mail comes, so none is promised."""
    _, first = signed_up(house, "asta")
    assert told(first) == ("created", "Student at Aarhus University")
    assert PIN_MAIL in words(first.get_data(as_text=True))
    house.at_rest()
    _, again = signed_up(house, "asta")
    assert told(again) == ("unchanged", "Student at Aarhus University")
    assert PIN_MAIL not in words(again.get_data(as_text=True))
    assert "Your PIN is as before." in words(again.get_data(as_text=True))
    house.at_rest()
    assert len(house.mailbox.mails()) == 1


def test_a_page_that_is_loaded_again_says_the_same(house: House) -> None:
    """Who has just become a borrower is not told at a reload that they were one."""
    person, page = signed_up(house, "asta")
    house.clock.ahead = timedelta(minutes=1)
    assert told(person.get(page.request.path)) == told(page) == ("created", "Student at Aarhus University")
    assert PIN_MAIL in words(person.get(page.request.path).get_data(as_text=True))


def test_what_was_made_while_the_person_waited_was_made_now(house: House) -> None:
    """The library system was down, and has made the account before the person comes back to the same page."""
    person = house.person()
    page = person.sign_up("asta", "student")
    house.koha.faults.down = True
    waiting = ended(person, page)
    assert mark(waiting)[0] == "enrol"
    house.koha.faults.down = False
    house.clock.ahead = timedelta(seconds=30)
    house.at_rest()
    house.clock.ahead = timedelta(minutes=2)
    done = person.get(found(waiting, "//main//a[contains(@class, 'button')]/@href"))
    assert told(done)[0] == "created"
    assert len(rows(house, "1403044004")) == 1


def test_who_declines_is_told_that_nobody_was_signed_up(house: House) -> None:
    """In either language: the page that the form leads to has a link to the other."""
    person = house.person()
    page = person.agree(person.sign_up("asta", "student"), answer="no")
    page = person.get(page.location) if page.status_code == 303 else page
    assert mark(page) == ("refuse", "consent_refused")
    other = person.get(page.request.path + "?lang=en")
    assert "You have not been signed up" in words(other.get_data(as_text=True))
    assert "Du er ikke blevet oprettet" in words(page.get_data(as_text=True))
    assert rows(house, "1403044004") == []


def test_a_refused_login_has_its_other_language(house: House) -> None:
    """Declining at a service is a form's answer, and the same address gives the page to a link."""
    person = house.person()
    page = person.agree(person.log_in("asta"), answer="no")
    assert page.request.method == "POST"
    other = person.get(page.request.path + found(page, "//header//a/@href"))
    assert (mark(other), found(other, "//html/@lang")) == (mark(page), "en")


@pytest.fixture
def environment(request: pytest.FixtureRequest, setting: Setting, tmp_path: Path) -> dict[str, str]:
    """Give what the environment says; with the parameter "no PIN", policies under which none is mailed."""
    if getattr(request, "param", "") != "no PIN":
        return {}
    folder = tmp_path / "policies"
    shutil.copytree(setting.folder / "policies", folder)
    for file in folder.glob("*.yaml"):
        file.write_text(file.read_text().replace("  pin: mail\n", "  pin: none\n"))
    return {"BROKER_POLICIES": str(folder)}


@pytest.mark.parametrize("environment", ["no PIN"], indirect=True)
def test_without_a_pin_mail_the_page_offers_to_choose_a_pin_now(house: House) -> None:
    """A policy with ``pin: none`` makes an account to which no link is mailed, and promises none."""
    _, page = signed_up(house, "asta")
    assert told(page)[0] == "created"
    said = words(page.get_data(as_text=True))
    assert PIN_MAIL not in said
    assert "Choose a PIN" in said


def test_a_lowered_account_is_called_what_it_has_become(house: House) -> None:
    """Who has left the university keeps the account, on other terms, and is told so (R47)."""
    signed_up(house, "otto")
    _, page = signed_up(house, "otto-left")
    assert told(page) == ("lowered", "Private user")
    assert "so it has other loan terms now" in words(page.get_data(as_text=True))


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
def test_the_page_says_what_to_type(house: House, environment: dict[str, str], typed: str) -> None:
    """In words: no page shows the number, nor the library system's own; the health card only where it is the card."""
    if environment:
        there = house.koha.patrons.administration
        house.koha.patrons.administration = there.with_preferences(auto_member_num=True)
    _, page = signed_up(house, "asta")
    assert found(page, "//dd[@id='typed']/text()") == typed
    shown = page.get_data(as_text=True)
    assert ("yellow health insurance card" in shown) is ("card at the machines" not in typed)
    assert "1403044004" not in shown
    assert f">{rows(house, '1403044004')[0]['patron_id']}<" not in shown


def test_a_service_without_a_place_of_its_own_leads_to_my_loans(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has just signed up finds the next thing to do on the page."""
    ports = house.ports
    plain = {**ports.services, "my-loans": replace(ports.services["my-loans"], url=None)}
    monkeypatch.setattr(ports.services, "_current", lambda: plain)
    _, page = signed_up(house, "asta")
    links = [found(page, "//div[@class='actions']/a/@href"), found(page, "//div[@class='actions']/a/text()")]
    assert links == [f"{house.setting.ports.origin('library')}/my-loans?lang=en", "Go on to My loans"]
