"""Pages of sign-up, PINs and choices: accessible and whole in both languages, schemes and widths."""

from collections.abc import Callable

import pytest

from broker.adapters.web.sign_up import sign_up_links
from broker.demo.people.personas import persona
from tests.plugins.signup_pages import PAGES
from tests.plugins.visitor import Visitor

Visit = Callable[..., Visitor]
# The personas of each language. Each persona sees the first-time pages only once.
PEOPLE = {"da-DK": ("dorte", "jens", "sara", "finn"), "en-GB": ("kim", "jytte", "asta", "finn")}

# Only Chromium shows a page in another colour scheme. The tests test_look.py and test_signup_look.py of tests/adapters
# look at each template, so these walks run in make full only.
pytestmark = [
    pytest.mark.full,
    pytest.mark.parametrize("language", list(PEOPLE)),
    pytest.mark.parametrize("browser", ["chromium"], indirect=True),
]


def wait_for_error(person: Visitor, problem: str) -> None:
    """Wait for a page with an error summary, and look at it."""
    person.page.wait_for_selector(f"[data-problem={problem}]")
    person.look()


def test_the_sign_up_pages(visit: Visit, language: str) -> None:
    """Questions, ends, the questions and answers, and a question that was not answered."""
    person = visit(language=language, looking=True)
    for name, page in PAGES.items():
        person.open("broker", f"{page.address}?service=my-loans")
        person.wait_for_page("sign-up", name)
    person.open("broker", sign_up_links.FAQ)
    person.wait_for_page("sign-up", "faq")
    person.open("broker", "/")
    person.wait_for_page("start")
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    person.press("footer a[href*=faq]")
    person.wait_for_page("sign-up", "faq")
    person.press(".notice a")
    person.wait_for_page("choose")
    for path in ("/no-such-page", "/error?code=AUTHORIZATION_FAILURE", f"/login/{'0' * 32}"):
        person.open("broker", path)
        person.wait_for_page("error")
    person.open("broker", "/sign-up")
    person.press("form.asking button")
    wait_for_error(person, "answer_missing")


def test_the_pages_of_a_kaldemail(visit: Visit, language: str) -> None:
    """Address and code, each with its errors, the question, the number, and the end."""
    name = PEOPLE[language][0]
    address = f"{name}@auh.rm.dk"
    person = visit(language=language, looking=True)
    person.open("broker", "/sign-up/hospital/kaldemail")
    person.press("[data-action]")
    person.pick(name)
    person.wait_for_page("proof", "kaldemail")
    person.write("#address", f"{name}@rm.dk")
    person.press("button[value=mail]")
    wait_for_error(person, "address_other_domain")
    person.write("#address", address)
    person.press("button[value=mail]")
    person.page.wait_for_selector("#code")
    person.look()
    person.write("#code", "00000000")
    person.press("button[value=code]")
    wait_for_error(person, "code_wrong")
    person.write("#code", person.code(address))
    person.press("button[value=code]")
    person.wait_for_page("ask")
    person.press("button[name=reveal]")
    person.wait_for_page("reveal")
    person.press("main a.button")
    person.page.wait_for_selector("main[data-step=ask]")
    person.agree()
    person.wait_for_page("done")


def test_the_pages_of_an_upgrade_and_a_refusal(visit: Visit, language: str) -> None:
    """The offer, no to the question, and the page of somebody who is too young."""
    person = visit(language=language, looking=True)
    person.open("broker", "/sign-up/student/pin")
    person.press("[data-action=login_wayf]")
    person.pick(PEOPLE[language][1])
    person.wait_for_page("upgrade")
    person.press("button[name=answer][value=no]")
    person.page.wait_for_selector("main[data-step=ask]")
    person.press("button[name=answer][value=no]")
    person.wait_for_page("refuse", "consent_refused")
    person.open("broker", "/sign-up/private")
    person.press("[data-action]")
    person.pick(PEOPLE[language][3])
    person.wait_for_page("refuse", "too_young")


def test_the_page_of_a_category_that_fell(visit: Visit, language: str) -> None:
    """A student who has left is wait_for_error so on the way to the service."""
    for name in ("otto", "otto-left"):
        person = visit(language=language, looking=name == "otto-left")
        person.open("library", "/my-loans")
        person.press("button[name=upstream][value=wayf]")
        person.pick(name)
        person.page.wait_for_selector("main[data-step=ask], main[data-step=upgrade]")
        if person.page.query_selector("main[data-step=upgrade]"):  # the other language's student has left before
            person.press("button[name=answer][value=yes]")
            person.page.wait_for_selector("main[data-step=ask]")
        person.agree()
        person.page.wait_for_selector("main[data-step=changed], #borrower")
    person.wait_for_page("changed", "lowered")


def test_the_pages_of_a_login_by_pin(visit: Visit, language: str) -> None:
    """Number with PIN and the mailed code, each with its errors, and a wrong PIN in a known browser."""
    person, mail = visit(language=language, looking=True), "ivan@own.example"
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    person.press("button[name=upstream][value=library]")
    person.wait_for_page("pin")
    person.press("button[value=login]")
    wait_for_error(person, "pin_number_missing")
    person.write("#identifier", "T-2002")
    person.press("button[value=login]")
    wait_for_error(person, "pin_missing")
    person.write("#identifier", "T-2002")  # no page shows a number again
    person.write("#pin", str(persona("ivan").pin))
    person.press("button[value=login]")
    person.wait_for_page("pin", "code")
    person.write("#code", "0000")
    person.press("button[value=code]")
    wait_for_error(person, "code_malformed")
    person.write("#code", "00000000")
    person.press("button[value=code]")
    wait_for_error(person, "code_wrong")
    person.tick("label[for=own]")
    person.write("#code", person.code(mail))
    person.press("button[value=code]")
    person.wait_for_page("ask")
    person.open("library", "/my-loans")
    person.press("button[name=upstream][value=library]")
    person.wait_for_page("pin")
    person.write("#identifier", "T-2002")
    person.write("#pin", "0000")
    person.press("button[value=login]")
    wait_for_error(person, "pin_wrong")


def test_the_pages_of_pin_and_choices(visit: Visit, language: str) -> None:
    """A PIN by mail, a PIN chosen behind its link and after a login, and a consent listed, read and withdrawn."""
    name = PEOPLE[language][2]
    address = persona(name).attributes["mail"][0]
    person = visit(language=language, looking=True)
    person.open("broker", "/sign-up/student/pin")
    person.press("[data-action=login_wayf]")
    person.pick(name)
    person.wait_for_page("ask")
    person.tick("#remember")
    person.agree()
    person.wait_for_page("done")
    person.open("broker", "/pin")
    person.wait_for_page("pin")
    person.press("main form button")
    wait_for_error(person, "pin_number_missing")
    person.write("#identifier", person.number_to_type(name))
    person.press("main form button")
    person.wait_for_page("pin", "asked")
    person.page.goto(person.link(address))
    person.wait_for_page("pin")
    person.open("broker", "/pin?change=wayf")
    person.pick(name)
    person.wait_for_page("pin")
    person.write("#pin", "1234")
    person.write("#again", "1234")
    person.press("button[value=choose]")
    wait_for_error(person, "pin_trivial")
    person.write("#pin", "7294")
    person.write("#again", "7294")
    person.press("button[value=choose]")
    person.wait_for_page("pin", "set")
    person.open("broker", "/my-choices")
    person.wait_for_page("choices", "begin")
    person.press("main .ways a[href*=wayf]")
    person.pick(name)
    person.wait_for_page("choices")
    person.press("[data-service=my-loans] a[href*=receipt]")
    person.wait_for_page("choices", "receipt")
    person.press(".back a")
    person.page.wait_for_selector("button[value=withdraw]")
    person.press("button[value=withdraw]")
    person.wait_for_page("choices", "withdrawn")
    person.press("button[value=leave]")
    person.wait_for_page("choices", "left")


def test_the_pages_of_stored_data(visit: Visit, language: str) -> None:
    """The stored data, the question before the deletion, and the page after it."""
    person = visit(language=language, looking=True)
    person.open("broker", "/my-choices")
    person.wait_for_page("choices", "begin")
    person.press("main .ways a[href*=wayf]")
    person.pick("dan")
    person.wait_for_page("choices")
    person.press("main a[href*='do=kept']")
    person.wait_for_page("choices", "kept")
    person.press("main a[href*='do=forget']")
    person.wait_for_page("choices", "confirm")
    person.press("main form button")
    person.wait_for_page("choices", "forgotten")
