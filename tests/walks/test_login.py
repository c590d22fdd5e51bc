"""Whole logins: service, broker, hub, library system and mail server, over real messages."""

import pytest
from werkzeug.test import TestResponse

from broker.demo.people.personas import PERSONAS, persona
from tests.plugins.deployment import Deployment, find_text, form, mark

MAKING = [each for each in PERSONAS if each.plain and each.expect.isupper()]


def way(name: str) -> str:
    """Return the way a persona logs in."""
    return "nemid" if "nemlogin" in persona(name).institution else "wayf"


@pytest.mark.parametrize("name", [each.name for each in MAKING])
def test_a_person_with_a_borrower_lands(deployment: Deployment, name: str) -> None:
    """Each persona who may borrow agrees once and lands with exactly one borrower of the expected category."""
    person = deployment.person()
    landing = deployment.landing(person.agree(person.log_in(name, way(name))))
    number = landing.attributes["uid"][0]
    row = next(each for each in deployment.koha.patrons.rows() if str(each["patron_id"]) == number)
    known = {"bo-nemid": "PRIVATE"}
    assert row["category_id"] == known.get(name, persona(name).expect)
    cpr = persona(name).attributes["schacPersonalUniqueID"][0][-10:]
    spellings = {cpr, f"{cpr[:6]}-{cpr[6:]}"}
    assert (
        len([each for each in deployment.koha.patrons.rows() if {each["userid"], each["cardnumber"]} & spellings]) == 1
    )


def test_two_affiliations_are_one_borrower(deployment: Deployment) -> None:
    """An employee who logs in by NemID is the same borrower and is not lowered to private."""
    person, other = deployment.person(), deployment.person()
    first = deployment.landing(person.agree(person.log_in("bo")))
    second = deployment.landing(other.agree(other.log_in("bo-nemid", "nemid")))
    assert first.attributes["uid"] == second.attributes["uid"]
    row = next(each for each in deployment.koha.patrons.rows() if str(each["patron_id"]) == first.attributes["uid"][0])
    assert row["category_id"] == "EMPLOYEE"


def test_who_has_left_is_told_that_the_category_fell_before_the_service_is_answered(deployment: Deployment) -> None:
    """The page is the person's own, comes once, and goes on by its own form only."""
    first, person, other = deployment.person(), deployment.person(), deployment.person()
    first.agree(first.log_in("otto"))
    question = person.log_in("otto-left")
    token = find_text(question, "//form[@class='answer']//input[@name='token']/@value")
    sent = person.post(question.request.path, {"token": token, "answer": "yes"})
    assert sent.status_code == 303
    page = person.get(sent.location)
    assert mark(page) == ("changed", "lowered")
    assert mark(other.get(sent.location))[0] == "error"
    assert mark(person.post(sent.location, {"token": token}))[0] == "error"
    landing = deployment.landing(person.press(page))
    assert landing.attributes["uid"]
    assert deployment.landing(person.get(sent.location)).attributes == landing.attributes
    assert not person.agree(person.log_in("otto-left")).location  # later logins go straight on


def test_declining_sends_nothing(deployment: Deployment) -> None:
    """A no shows the way out, makes no borrower, and the service hears RequestDenied."""
    before = len(deployment.koha.patrons.rows())
    person = deployment.person()
    page = person.agree(person.log_in("asta"), answer="no")
    assert mark(page) == ("refuse", "consent_refused")
    assert "sundhedskort" in page.get_data(as_text=True) or "health insurance card" in page.get_data(as_text=True)
    action, fields = form(page)
    review = person.post(action, {**fields, "reconsider": "1"})
    assert review.status_code in {200, 303}
    assert len(deployment.koha.patrons.rows()) == before
    assert deployment.landing(page).status == "Responder / RequestDenied"


def test_a_no_after_a_yes_says_that_the_account_stays(deployment: Deployment) -> None:
    """Back to the question after a sign-up, and a no: the page does not say that nobody was signed up."""
    person = deployment.person()
    asked = person.sign_up("asta", "student")
    done = person.agree(asked)
    person.get(done.location)
    page = person.agree(asked, answer="no")
    page = person.get(page.location) if page.status_code == 303 else page
    assert mark(page) == ("refuse", "consent_refused")
    text = page.get_data(as_text=True)
    assert "Du har allerede en lånerkonto" in text or "You have a library account already" in text
    assert "ikke blevet" not in text


@pytest.mark.parametrize(("service", "led_on"), [("my-loans", True), ("e-resources", False)])
def test_a_no_leads_to_electronic_resources_unless_it_was_said_to_them(
    deployment: Deployment, service: str, *, led_on: bool
) -> None:
    """The alternatives on the page do not contain the declined way."""
    person = deployment.person()
    page = person.agree(person.log_in("asta", service=service), answer="no")
    assert mark(page) == ("refuse", "consent_refused")
    assert ("elektroniske ressourcer med" in page.get_data(as_text=True)) is led_on


def test_a_library_that_is_down_gets_the_request_later(deployment: Deployment) -> None:
    """The page says the account is on its way; once the library answers, the same login lands."""
    deployment.koha.faults.down = True
    person = deployment.person()
    page = person.agree(person.log_in("asta"))
    assert mark(page)[0] == "enrol"
    deployment.koha.faults.down = False
    [record] = deployment.parts.enrolment_ports.persons.list_all(deployment.clock.now())
    assert deployment.try_again(record.key.group)
    waits = page.request.path.removesuffix("/consent")
    deployment.wait_until(lambda: mark(person.get(waits))[0] == "issue", "the account is made")
    assert deployment.landing(person.get(waits)).status == "Success"


@pytest.mark.profile(19)
def test_cancelling_at_the_hub_is_a_page(deployment: Deployment) -> None:
    """The hub's AuthnFailed becomes a page with a way to try again and back to the service."""
    page = _cancel_login(deployment)
    assert mark(page) == ("refuse", "upstream_refused")
    assert deployment.landing(page).status == "Responder / AuthnFailed"


def _cancel_login(deployment: Deployment) -> TestResponse:
    person = deployment.person()
    arrived = person.deliver(*deployment.answer(person.choose(person.ask()), None))
    return person.get(arrived.location)


def test_a_notice_is_shown_once_a_year(deployment: Deployment) -> None:
    """A person who went on after a notice, without ticking anything, goes straight through at the next login."""
    first = deployment.person()
    page = first.log_in("ib", service="e-resources")
    assert mark(page) == ("ask", "inform")
    assert deployment.landing(first.agree(page)).status == "Success"
    assert mark(deployment.person().log_in("ib", service="e-resources"))[0] == "issue"
