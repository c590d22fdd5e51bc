"""The pages that prove a mailbox, in a whole broker, with the mails a real mail server got."""

from dataclasses import replace
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from broker.app import diagnostics
from broker.core.errors import RecipientRefused
from broker.core.login.steps import ProveMailbox
from broker.use_cases.login.person_at_login import PersonAtLogin
from tests.plugins.house import House, Person, found, mark
from tests.plugins.proofs import NURSE, other, secrets_in

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


def mailed(house: House) -> tuple[str, str]:
    """Give code and link of the newest mail."""
    return secrets_in(house.mailbox.mails()[0])


def test_a_code_from_the_mail_leads_on(house: House) -> None:
    """Address, mail, code: the person goes on as an employee of the hospital, and the domain is what is shown."""
    person, page = arrived(house)
    page = do(person, page, "mail", address=f"  {NURSE.upper().replace('NURSE', 'nurse')} ")
    assert NURSE in page.text
    [mail] = house.mailbox.mails()
    assert mail.recipients == (NURSE,)
    assert "Eva Storgaard" in mail.text
    code, link = mailed(house)
    assert code not in page.text
    page = do(person, page, "code", code=f"{code[:3]} {code[3:]}")
    assert mark(page)[0] == "ask"
    assert "auh.rm.dk" in page.text
    assert person.get(f"{page.request.path.removesuffix('/consent')}/proof/{link}").status_code == 410


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
    code, _ = mailed(house)
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
    assert mark(do(person, page, "code", code=mailed(house)[0]))[0] == "ask"


def test_another_address_can_be_used(house: House) -> None:
    """The form comes back with the address in it, and the code that is under way can still be typed."""
    person, page = arrived(house)
    page = do(person, do(person, page, "mail", address=NURSE), "other")
    assert found(page, "//input[@id='address']/@value") == NURSE
    code, _ = mailed(house)
    page = person.get(found(page, "//main//p[@class='doing']/a/@href"))
    assert mark(do(person, page, "code", code=code))[0] == "ask"


def test_the_hour_has_five_mails(house: House) -> None:
    """The sixth is refused with 429 at the field, and none is sent."""
    person, page = arrived(house)
    for each in range(5):
        page = do(person, do(person, page, "other") if each else page, "mail", address=f"n{each}@auh.rm.dk")
    page = do(person, page, "again")
    assert (page.status_code, problem(page)) == (429, "mails_too_many")
    assert "vent en time" in page.text
    assert len(house.mailbox.mails()) == 5


def test_a_day_has_so_many_wrong_codes(house: House) -> None:
    """After fifteen of a person's the right one is no way on either, and the page says until when."""
    person, page = arrived(house)
    for number in range(3):
        page = do(person, do(person, page, "other"), "mail", address=f"n{number}@auh.rm.dk")
        for _ in range(5):
            page = do(person, page, "code", code=other(mailed(house)[0]))
            assert (page.status_code, problem(page)) == (422, "code_wrong")
    page = do(person, do(person, page, "other"), "mail", address=NURSE)
    page = do(person, page, "code", code=mailed(house)[0])
    assert (page.status_code, problem(page)) == (429, "codes_too_many")
    assert "i morgen" in page.text


def test_an_address_that_the_mail_server_refuses_is_said_at_its_field(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be mistyped: what was typed stays, and the page does not speak of a mail server that is down."""
    person, page = arrived(house)
    with monkeypatch.context() as unknown:
        unknown.setattr(type(house.parts.mailbox_proof.mail), "address", _unknown)
        page = do(person, page, "mail", address="nurze@auh.rm.dk")
    assert (page.status_code, problem(page)) == (422, "address_unreachable")
    assert found(page, "//input[@id='address']/@value") == "nurze@auh.rm.dk"
    page = do(person, page, "mail", address=NURSE)
    assert mark(do(person, page, "code", code=mailed(house)[0]))[0] == "ask"


def _unknown(*_: object) -> None:
    raise RecipientRefused("RCPT answered 550")


def test_the_other_language_is_offered_where_it_is_the_same_page(house: House) -> None:
    """A link leads to the same step of the same login; what a button sent is not sent again."""
    person, page = arrived(house)
    page = do(person, page, "mail", address="x")
    assert found(page, "//header//a/@href") == "?lang=en"
    page = do(person, do(person, page, "mail", address=NURSE), "other")
    assert mark(person.get(page.request.path + found(page, "//header//a/@href"))) == ("proof", "kaldemail")


def test_a_mail_server_that_is_down_is_said_and_the_login_stands(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with the address kept; once the server is up, the same page goes on."""
    person, page = arrived(house)
    with monkeypatch.context() as down:
        down.setattr(type(house.parts.mailbox_proof.mail), "_wrapped", _unplugged)
        page = do(person, page, "mail", address=NURSE)
    assert (page.status_code, problem(page)) == (503, "mail_unavailable")
    assert found(page, "//input[@id='address']/@value") == NURSE
    page = do(person, page, "mail", address=NURSE)
    assert mark(do(person, page, "code", code=mailed(house)[0]))[0] == "ask"


def _unplugged(*_: object) -> None:
    raise ConnectionResetError


def test_a_page_that_was_open_too_long_keeps_what_was_typed(house: House) -> None:
    """A mail may take longer than a page's ten minutes: the fresh page has the address, and nothing was sent."""
    person, page = arrived(house)
    house.clock.ahead = timedelta(minutes=11)
    page = do(person, page, "mail", address="kim@auh.rm.dk")
    assert (page.status_code, problem(page)) == (403, "page_too_old")
    assert found(page, "//input[@id='address']/@value") == "kim@auh.rm.dk"
    assert house.mailbox.mails() == ()
    page = do(person, page, "mail", address="kim@auh.rm.dk")
    assert mark(do(person, page, "code", code=mailed(house)[0]))[0] == "ask"


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
    do(person, do(person, page, "mail", address=NURSE), "code", code=mailed(house)[0])
    again = house.person()
    page = again.get(again.deliver(*house.answer(again.get(BEGIN).location, "eva")).location)
    assert mark(page)[0] == "ask"
    assert "auh.rm.dk" in page.text


def test_the_link_proves_by_its_button_in_the_logins_own_browser(house: House) -> None:
    """Opened there, however often, it shows a button and uses nothing up; the button proves, once."""
    person, page = arrived(house)
    do(person, page, "mail", address=NURSE)
    code, link = mailed(house)
    url = f"{page.request.path}/{link}"
    assert person.client.head(url, base_url=person.base).status_code == 200
    page = person.get(url)
    assert mark(page) == ("proof", "kaldemail")
    assert NURSE in page.text
    assert code not in page.text
    assert found(page, "//input[@name='link']/@value") == link
    assert mark(do(person, page, "press", link=link))[0] == "ask"
    gone = person.get(url)
    assert (gone.status_code, mark(gone)) == (410, ("error", "link_gone"))


def test_the_link_opened_elsewhere_shows_code_and_name_and_proves_nothing(house: House) -> None:
    """Another browser sees who asks and what to type where it began; it has no button, and a press of its own fails."""
    person, page = arrived(house)
    waiting = do(person, page, "mail", address=NURSE)
    code, link = mailed(house)
    url, stranger = f"{page.request.path}/{link}", house.person()
    assert stranger.client.head(url, base_url=stranger.base).status_code == 200
    for _ in range(6):
        page = stranger.get(url)
        assert (page.status_code, mark(page)) == (200, ("proof", "elsewhere"))
    assert code in page.text
    assert "Eva Storgaard" in page.text
    assert "<form" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert found(page, "//meta[@name='robots']/@content") == "noindex"
    pressed = stranger.post(url.rpartition("/")[0], {"do": "press", "link": link, "token": ""})
    assert (pressed.status_code, mark(pressed)[1]) == (403, "other_browser")
    assert mark(do(person, waiting, "code", code=code))[0] == "ask"


def test_with_b_alone_a_link_proves_nothing(house: House) -> None:
    """Who has the browser's cookie but not the authentication's sees what a stranger sees.

    Source: docs/reference/design.md#4a-4.
    """
    person, page = arrived(house)
    page = do(person, page, "mail", address=NURSE)
    code, link = mailed(house)
    for cookie in person.cookies("a-"):
        person.client.delete_cookie(cookie.key, domain=cookie.domain, path=cookie.path)
    shown = person.get(f"{page.request.path}/{link}")
    assert mark(shown) == ("proof", "elsewhere")
    assert person.client.get(page.request.path, base_url=person.base).status_code == 403
    fields = {"token": found(page, "//form//input[@name='token']/@value"), "do": "code", "code": code}
    assert person.post(page.request.path, fields).status_code == 403


def test_a_link_that_leads_nowhere_tells_nothing(house: House) -> None:
    """A wrong link, one of a login that never was, one run out: the same page, but for reference and time."""
    person, page = arrived(house)
    do(person, page, "mail", address=NURSE)
    _, link = mailed(house)
    stranger, wrong = house.person(), "0" * 32
    answers = [stranger.get(f"{page.request.path}/{wrong}"), stranger.get(f"/login/{wrong}/proof/{link}")]
    house.clock.ahead = timedelta(minutes=31)
    answers.append(stranger.get(f"{page.request.path}/{link}"))
    assert [(each.status_code, mark(each)) for each in answers] == [(410, ("error", "link_gone"))] * 3
    assert len({found(each, "//main//ul").split()[0] for each in answers}) == 1
    assert len({len(each.data) for each in answers}) == 1


def test_an_address_of_somebody_else_is_a_case_and_the_page_stands(house: House) -> None:
    """The second person's right code proves nothing; they may use another address; the reference names the case."""
    person, page = arrived(house)
    do(person, do(person, page, "mail", address=NURSE), "code", code=mailed(house)[0])
    second, page = arrived(house, "bo-nemid")
    page = do(second, do(second, page, "mail", address=NURSE), "code", code=mailed(house)[0])
    assert (page.status_code, problem(page)) == (403, "address_taken")
    [case] = [row["id"] for row in house.parts.cases.rows() if row["reason"] == "address_taken"]
    trace = diagnostics.trace(house.parts, found(page, "//div[@class='reference']//strong/text()"))
    assert trace is not None
    assert trace["enrolment"] == case
    page = do(second, page, "mail", address="bo@auh.rm.dk")
    assert mark(do(second, page, "code", code=mailed(house)[0]))[0] != "proof"


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
