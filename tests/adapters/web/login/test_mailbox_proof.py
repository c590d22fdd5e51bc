"""The pages that prove a mailbox, in a whole broker, with the mails a real mail server got."""

from dataclasses import replace
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from broker.core.login.steps import ProveMailbox
from broker.use_cases.login.person_at_login import PersonAtLogin
from tests.plugins.house import House, Person, found, mark
from tests.plugins.proofs import NURSE, code_in, other

CPR = "0101881235"
BEGIN = "/sign-up/begin?affiliation=hospital&upstream=nemid"


def arrived(house: House, name: str = "eva", person: Person | None = None) -> tuple[Person, TestResponse]:
    """Sign up as an employee of the hospital, by the national eID, as far as the first page."""
    person = person or house.person()
    sent = person.get(BEGIN)
    page = person.get(person.deliver(*house.answer(sent.location, name)).location)
    assert mark(page) == ("proof", "kaldemail")
    return person, page


def do(person: Person, page: TestResponse, deed: str, **fields: str) -> TestResponse:
    """Answer the page and follow where that leads."""
    action, token = found(page, "//form/@action"), found(page, "//form//input[@name='token']/@value")
    answer = person.post(action, {"token": token, "do": deed, **fields})
    return person.get(answer.location) if answer.status_code == 303 else answer


def problem(page: TestResponse) -> str:
    """Give the code of what went wrong, once it is sure that it is said where it must be said."""
    field = found(page, "//input[@aria-invalid='true']/@id")
    assert found(page, "//div[@role='alert']//a/@href") == f"#{field}"
    assert found(page, "//input[@aria-invalid='true']/@aria-describedby") == "problem"
    assert found(page, "//p[@id='problem']")
    assert found(page, "//title/text()").startswith(("Error: ", "Fejl: "))
    return found(page, "//div[@role='alert']/@data-problem")


def mailed(house: House) -> str:
    """Give the code of the newest mail."""
    return code_in(house.mailbox.mails()[0])


def test_a_code_from_the_mail_leads_on(house: House) -> None:
    """Address, mail, code: the person goes on as an employee of the hospital, and the domain is what is shown."""
    person, page = arrived(house)
    page = do(person, page, "mail", address=f"  {NURSE.upper().replace('NURSE', 'nurse')} ")
    assert NURSE in page.text
    [mail] = house.mailbox.mails()
    assert mail.recipients == (NURSE,)
    assert "Eva Storgaard" in mail.text
    code = mailed(house)
    assert code not in page.text
    page = do(person, page, "code", code=f"{code[:3]} {code[3:]}")
    assert mark(page)[0] == "ask"
    assert "auh.rm.dk" in page.text


def test_the_address_form_says_what_counts(house: House) -> None:
    """The domains as words, a field that a browser knows how to fill, and a way without."""
    _, page = arrived(house)
    assert all(f"@{domain}" in page.text for domain in ("auh.rm.dk", "aarhus.rm.dk", "skejby.rm.dk", "ps.rm.dk"))
    assert found(page, "//input[@id='address']/@type") == "email"
    assert found(page, "//input[@id='address']/@autocomplete") == "email"
    assert found(page, "//label[@for='address']/text()")
    assert found(page, "//button[@value='without']/text()")
    assert page.headers["Cache-Control"] == "no-store"


ADDRESSES = {
    "": "address_empty",
    "x@auh.rm.dk.evil": "address_other_domain",
    "x@sub.auh.rm.dk": "address_other_domain",
    "x@rm.dk": "address_other_domain",
    "x@\u0430uh.rm.dk": "address_other_domain",
    "x@\uff41uh.rm.dk": "address_other_domain",
    '"x@auh.rm.dk"@evil.example': "address_not_plain",
    "Ann <x@auh.rm.dk>": "address_not_plain",
    "\u0445@auh.rm.dk": "address_not_plain",
    "x" * 300 + "@auh.rm.dk": "address_too_long",
    "x" * 100_000: "address_too_long",
}


def test_an_address_that_does_not_count_is_refused_at_its_field(house: House) -> None:
    """422, the cause at the field, what was typed kept, a small page, and no mail to anybody (R17)."""
    person, page = arrived(house)
    for address, reason in ADDRESSES.items():
        page = do(person, page, "mail", address=address)
        assert (page.status_code, problem(page)) == (422, reason)
        assert found(page, "//input[@id='address']/@value") == address[:508]
        assert len(page.data) < 60_000
    assert house.mailbox.mails() == ()


def test_a_number_typed_as_an_address_is_not_shown_again(house: House) -> None:
    """What looks like a CPR number goes into no mail and no page source.

    Source: docs/reference/design.md#invariant-4.
    """
    person, page = arrived(house)
    page = do(person, page, "mail", address=f"{CPR}@auh.rm.dk")
    assert (page.status_code, problem(page)) == (422, "address_cpr")
    assert CPR not in page.text
    assert house.mailbox.mails() == ()


def test_wrong_codes_are_counted_and_said(house: House) -> None:
    """Five tries; then only a new mail helps, and its code does."""
    person, page = arrived(house)
    page = do(person, page, "mail", address=NURSE)
    code = mailed(house)
    page = do(person, page, "code", code="")
    assert (page.status_code, problem(page)) == (422, "code_malformed")
    for _ in range(5):
        page = do(person, page, "code", code=other(code))
        assert (page.status_code, problem(page)) == (422, "code_wrong")
    page = do(person, page, "code", code=code)
    assert (page.status_code, problem(page)) == (422, "code_used_up")
    assert code not in page.text
    page = do(person, page, "again")
    assert [each.recipients for each in house.mailbox.mails()] == [(NURSE,), (NURSE,)]
    assert mark(do(person, page, "code", code=mailed(house)))[0] == "ask"


def test_another_address_can_be_used(house: House) -> None:
    """The form comes back with the address in it, and the code that is under way can still be typed."""
    person, page = arrived(house)
    page = do(person, do(person, page, "mail", address=NURSE), "other")
    assert found(page, "//input[@id='address']/@value") == NURSE
    code = mailed(house)
    page = person.get(found(page, "//main//p[@class='doing']/a/@href"))
    assert mark(do(person, page, "code", code=code))[0] == "ask"


def test_the_day_has_three_mails(house: House) -> None:
    """The fourth is refused with 429 at the field, and none is sent."""
    person, page = arrived(house)
    for each in range(3):
        page = do(person, do(person, page, "other") if each else page, "mail", address=f"n{each}@auh.rm.dk")
    page = do(person, page, "again")
    assert (page.status_code, problem(page)) == (429, "mails_too_many")
    assert "i morgen" in page.text
    assert len(house.mailbox.mails()) == 3


def test_the_other_language_is_offered_where_it_is_the_same_page(house: House) -> None:
    """A link leads to the same step of the same login; what a button sent is not sent again."""
    person, page = arrived(house)
    page = do(person, page, "mail", address="x")
    assert found(page, "//header//a/@href") == "?lang=en"
    page = do(person, do(person, page, "mail", address=NURSE), "other")
    assert mark(person.get(page.request.path + found(page, "//header//a/@href"))) == ("proof", "kaldemail")


def test_a_page_that_was_open_too_long_keeps_what_was_typed(house: House) -> None:
    """A mail may take longer than a page's ten minutes: the fresh page has the address, and nothing was sent."""
    person, page = arrived(house)
    house.clock.ahead = timedelta(minutes=11)
    page = do(person, page, "mail", address="kim@auh.rm.dk")
    assert (page.status_code, problem(page)) == (403, "page_too_old")
    assert found(page, "//input[@id='address']/@value") == "kim@auh.rm.dk"
    assert house.mailbox.mails() == ()
    page = do(person, page, "mail", address="kim@auh.rm.dk")
    assert mark(do(person, page, "code", code=mailed(house)))[0] == "ask"


def test_a_form_from_elsewhere_is_refused(house: House) -> None:
    """Neither another origin nor a missing token sends a mail (CWE-352)."""
    person, page = arrived(house)
    action, token = found(page, "//form/@action"), found(page, "//form//input[@name='token']/@value")
    fields = {"token": token, "do": "mail", "address": NURSE}
    foreign = person.post(action, fields, **{"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, mark(foreign)[1], NURSE in foreign.text) == (403, "token_refused", False)
    assert person.post(action, {**fields, "token": ""}).status_code == 403
    assert person.post(action, {**fields, "do": "all"}).status_code == 422
    assert house.mailbox.mails() == ()


def test_going_on_without_makes_a_private_user(house: House) -> None:
    """The national eID without the proof is private, not hospital (R19), and the page has said so."""
    person, page = arrived(house)
    page = do(person, page, "without")
    assert mark(page)[0] == "ask"
    assert "auh.rm.dk" not in page.text
    proof = page.request.path.replace("/consent", "/proof")
    assert person.client.get(proof, base_url=person.base).status_code == 303


def test_a_proof_is_remembered_at_the_next_login(house: House) -> None:
    """For twelve months the person is not asked again."""
    person, page = arrived(house)
    do(person, do(person, page, "mail", address=NURSE), "code", code=mailed(house))
    again = house.person()
    page = again.get(again.deliver(*house.answer(again.get(BEGIN).location, "eva")).location)
    assert mark(page)[0] == "ask"
    assert "auh.rm.dk" in page.text


def test_an_address_of_somebody_else_is_refused(house: House) -> None:
    """The second person's right code proves nothing; they may use another address."""
    person, page = arrived(house)
    do(person, do(person, page, "mail", address=NURSE), "code", code=mailed(house))
    second, page = arrived(house, "bo-nemid")
    page = do(second, do(second, page, "mail", address=NURSE), "code", code=mailed(house))
    assert (page.status_code, problem(page)) == (403, "address_taken")
    page = do(second, page, "mail", address="bo@auh.rm.dk")
    assert mark(do(second, page, "code", code=mailed(house)))[0] != "proof"


def test_without_a_proof_that_must_be_there_nobody_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not offer to go on without takes no such answer."""
    step = PersonAtLogin.lacking

    def needed(self: PersonAtLogin, *given: object) -> ProveMailbox | None:
        found = step(self, *given)  # type: ignore[arg-type]
        return replace(found, optional=False) if found else None

    monkeypatch.setattr(PersonAtLogin, "lacking", needed)
    person, page = arrived(house)
    assert "without" not in page.text
    assert do(person, page, "without").status_code == 422
    assert mark(person.get(page.request.path)) == ("proof", "kaldemail")
