"""The pages that prove a mailbox, in a whole broker, with the mails a real mail server got."""

from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from broker.core.login.steps import ProveMailbox
from broker.use_cases.login.person_at_login import PersonAtLogin
from tests.plugins.deployment import Deployment, Person, find_text, mark
from tests.plugins.mailbox_proof_bench import NURSE

CPR = "0101881235"
BEGIN = "/sign-up/begin?affiliation=hospital&upstream=nemid"


def arrive(deployment: Deployment, name: str = "eva", person: Person | None = None) -> tuple[Person, TestResponse]:
    """Sign up as an employee of the hospital, by the national eID, as far as the first page."""
    person = person or deployment.person()
    sent = person.get(BEGIN)
    page = person.get(person.deliver(*deployment.answer(sent.location, name)).location)
    assert mark(page) == ("proof", "kaldemail")
    return person, page


def do(person: Person, page: TestResponse, deed: str, **fields: str) -> TestResponse:
    """Answer the page and follow where that leads."""
    action, token = find_text(page, "//form/@action"), find_text(page, "//form//input[@name='token']/@value")
    answer = person.post(action, {"token": token, "do": deed, **fields})
    return person.get(answer.location) if answer.status_code == 303 else answer


def problem(page: TestResponse) -> str:
    """Give the code of what went wrong, once it is sure that it is said where it must be said."""
    field = find_text(page, "//input[@aria-invalid='true']/@id")
    assert find_text(page, "//div[@role='alert']//a/@href") == f"#{field}"
    assert find_text(page, "//input[@aria-invalid='true']/@aria-describedby") == "problem"
    assert find_text(page, "//p[@id='problem']")
    assert find_text(page, "//title/text()").startswith(("Error: ", "Fejl: "))
    return find_text(page, "//div[@role='alert']/@data-problem")


def test_a_number_typed_as_an_address_is_not_shown_again(deployment: Deployment) -> None:
    """A text that looks like a CPR number appears in no mail and no page source.

    Source: docs/reference/design.md#invariant-4.
    """
    person, page = arrive(deployment)
    page = do(person, page, "mail", address=f"{CPR}@auh.rm.dk")
    assert (page.status_code, problem(page)) == (422, "address_cpr")
    assert CPR not in page.text
    assert deployment.mailbox.mails() == ()


def test_a_form_from_elsewhere_is_refused(deployment: Deployment) -> None:
    """Neither another origin nor a missing token sends a mail (CWE-352)."""
    person, page = arrive(deployment)
    action, token = find_text(page, "//form/@action"), find_text(page, "//form//input[@name='token']/@value")
    fields = {"token": token, "do": "mail", "address": NURSE}
    foreign = person.post(action, fields, **{"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, mark(foreign)[1], NURSE in foreign.text) == (403, "token_refused", False)
    assert person.post(action, {**fields, "token": ""}).status_code == 403
    assert person.post(action, {**fields, "do": "all"}).status_code == 422
    assert deployment.mailbox.mails() == ()


def test_without_a_proof_that_must_be_there_nobody_goes_on(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that does not offer to go on without takes no such answer."""
    step = PersonAtLogin.find_missing_proof

    def find_missing(self: PersonAtLogin, *given: object) -> ProveMailbox | None:
        found = step(self, *given)  # type: ignore[arg-type]
        return replace(found, optional=False) if found else None

    monkeypatch.setattr(PersonAtLogin, "find_missing_proof", find_missing)
    person, page = arrive(deployment)
    assert "without" not in page.text
    assert do(person, page, "without").status_code == 422
    assert mark(person.get(page.request.path)) == ("proof", "kaldemail")
