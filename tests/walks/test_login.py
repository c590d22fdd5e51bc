"""Whole logins: service, broker, hub, library system and mail server, over real messages."""

import pytest

from tests.plugins.deployment import Deployment, find_text, mark


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


def test_a_notice_is_shown_once_a_year(deployment: Deployment) -> None:
    """A person who went on after a notice, without ticking anything, goes straight through at the next login."""
    first = deployment.person()
    page = first.log_in("ib", service="e-resources")
    assert mark(page) == ("ask", "inform")
    assert deployment.landing(first.agree(page)).status == "Success"
    assert mark(deployment.person().log_in("ib", service="e-resources"))[0] == "issue"
