"""Claims and cases in a real browser, from the person's page to their end, every page whole in every look."""

from collections.abc import Callable
from typing import Any

import pytest

from broker.demo.people.personas import persona
from tests.plugins.visitor import Visitor
from tests.walks.browser.test_staff_walk import enter, go, has, log_in, search, until, whole

Visit = Callable[..., Visitor]

# Only Chromium can switch the colour scheme of a page.
pytestmark = [
    pytest.mark.slow(seconds=8),
    pytest.mark.parametrize("browser", ["chromium"], indirect=True),
    pytest.mark.parametrize("language", ["da-DK", pytest.param("en-GB", marks=pytest.mark.full)]),
]
REGISTERED = {"library_id": "AUL", "category_id": "STUDENT"}


def old_account(person: Visitor, name: str, **changes: Any) -> int:
    """Let the library have an account of a persona's from before they had a CPR number, and return its number."""
    known = persona(name)
    row = {
        **REGISTERED,
        "surname": known.attributes["sn"][0],
        "firstname": known.attributes["gn"][0],
        "date_of_birth": born(known.cpr or ""),
        "cardnumber": f"T-{name}",
        "userid": f"old.{name}",
        "email": f"{name}@old.example",
    }
    return int(person.demo.patrons.patrons.create(row | changes)["patron_id"])


def born(cpr: str) -> str:
    """Return the birth date of a CPR number of this century, or the last."""
    century = "20" if cpr[6] in "456789" and int(cpr[4:6]) < 37 else "19"
    return f"{century}{cpr[4:6]}-{cpr[2:4]}-{cpr[:2]}"


def carries(person: Visitor, number: int, name: str) -> bool:
    """Return whether an account has the persona's CPR number."""
    attributes = person.demo.patrons.patrons.row(number)["extended_attributes"]
    return persona(name).cpr in {each["value"] for each in attributes}


def test_an_account_that_was_found_is_claimed_by_a_code(visit: Visit, language: str) -> None:
    """The page after the consent offers the masked address; the code leads to the service."""
    name = {"da-DK": "tove", "en-GB": "asta"}[language]
    person = visit(language=language, looking=True)
    address = f"{name}@old.example"
    if name == "tove":
        address = persona(name).registered[0]["email"]
    else:
        old_account(person, name)
    log_in(person, name)
    person.wait_for_page("ask")
    person.agree()
    person.wait_for_page("claim", "offer")
    assert address not in person.page.content()
    person.press("button[value=card]")
    person.wait_for_page("claim", "claim_card_unread")
    person.press("button[value=mail]")
    person.wait_for_page("claim", "code")
    person.write("#code", "00000000")
    person.press("button[value=code]")
    person.wait_for_page("claim", "code_wrong")
    person.write("#code", person.code(address))
    person.press("button[value=code]")
    person.page.wait_for_selector("#assertion")


def test_an_account_that_the_person_names_is_claimed(visit: Visit, language: str) -> None:
    """By the link on the consent page: a wrong card number, then the code, then the consent."""
    name = {"da-DK": "bo", "en-GB": "cilla"}[language]
    person = visit(language=language, looking=True)
    number = old_account(person, name, surname="Gammelt-Navn")
    log_in(person, name)
    person.wait_for_page("ask")
    person.press("main a[href$='/claim']")
    person.wait_for_page("claim", "offer")
    back = person.text("main a[href$='/consent']")
    person.write("#card", "T-nobody")
    person.press("button[value=card]")
    person.wait_for_page("claim", "claim_refused")
    assert person.text("main a[href$='/consent']") != back  # a new account is offered only after a try
    person.write("#card", f"T-{name}")
    person.press("button[value=card_mail]")
    person.wait_for_page("claim", "code")
    person.write("#code", person.code(f"{name}@old.example"))
    person.press("button[value=code]")
    person.wait_for_page("ask")
    assert not carries(person, number, name)
    person.agree()
    person.page.wait_for_selector("#assertion")
    assert carries(person, number, name)


def test_another_person_s_account_is_ruled_out_by_staff(visit: Visit, language: str) -> None:
    """From the page that offers a claim to a new borrower, by *Another person*."""
    name = {"da-DK": "otto", "en-GB": "carl"}[language]
    person, desk = visit(language=language), visit(language=language)
    number = old_account(person, name, email=None)
    log_in(person, name)
    person.wait_for_page("ask")
    person.agree()
    person.wait_for_page("claim", "offer")
    assert not has(person, "button[value=mail]")
    code = person.text(".help-code .code")
    enter(desk, "cilla")
    go(desk, "person")
    search(desk, code)
    whole(desk, "[data-state=case]")
    desk.press("button[name=do][value=another_person]")
    until(desk, code, lambda: has(desk, "[data-state=done]"))
    again = visit(language=language)
    log_in(again, name)
    again.page.wait_for_selector("main:is([data-step=ask], [data-step=changed], [data-step=upgrade])")
    assert not carries(person, number, name)


def test_a_refusal_of_the_library_system_ends_by_trying_again(visit: Visit, language: str) -> None:
    """The case shows the library system's sentence; once that is corrected the account is made."""
    name = {"da-DK": "poul", "en-GB": "hanne"}[language]
    person, desk = visit(language=language), visit(language=language)
    person.demo.patrons.faults.plan("create", "refused")
    log_in(person, name)
    person.wait_for_page("ask")
    person.agree()
    person.wait_for_page("refuse", "library_refused")
    code = person.text(".reference .code")
    enter(desk, "cilla")
    go(desk, "person")
    search(desk, code)
    whole(desk, "[data-state=case]")
    assert "400" in desk.text("[data-state=case]")
    desk.press("button[name=do][value=try_again]")
    until(desk, code, lambda: has(desk, "[data-state=done]"))
    again = visit(language=language)
    log_in(again, name)
    again.page.wait_for_selector("main:is([data-step=ask], [data-step=changed], [data-step=upgrade])")


def test_a_first_match_is_asked_about_its_address(visit: Visit, language: str) -> None:
    """No, and the person's own address takes its place; the page after it leads to a new PIN."""
    name = {"da-DK": "ida", "en-GB": "sara"}[language]
    person = visit(language=language, looking=True)
    cpr = persona(name).cpr or ""
    number = old_account(person, name, cardnumber=cpr, userid=cpr)
    log_in(person, name)
    person.wait_for_page("address")
    assert f"{name}@old.example" not in person.page.content()
    person.press("button[name=answer][value=no]")
    person.wait_for_page("proof")
    person.write("#address", f"{name}@new.example")
    person.press("button[value=mail]")
    person.page.wait_for_selector("#code")
    person.write("#code", person.code(f"{name}@new.example"))
    person.press("button[value=code]")
    person.wait_for_page("ask")
    person.agree()
    person.wait_for_page("changed", "new_address")
    assert person.row(str(number))["email"] == f"{name}@new.example"
    assert has(person, "main a[href*='/pin']")
    person.press("main form button")
    person.page.wait_for_selector("#assertion")
