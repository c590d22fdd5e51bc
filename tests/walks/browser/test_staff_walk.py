"""The staff view in a real browser: an admin and the desk from login to logout, every page whole in every look."""

import re
import time
from collections.abc import Callable

import pytest

from broker.demo.people.personas import persona
from tests.plugins.visitor import Visitor

Visit = Callable[..., Visitor]

# Only Chromium can switch the colour scheme of a page.
pytestmark = [pytest.mark.slow(seconds=6), pytest.mark.parametrize("browser", ["chromium"], indirect=True)]


def enter(person: Visitor, name: str) -> None:
    """Come in by the link of the page that says where to log in."""
    person.open("broker", "/admin")
    person.wait_for_page("admin", "login")
    person.press("main a.button")
    person.pick(name)
    person.wait_for_page("admin", "home")


def go(person: Visitor, page: str) -> None:
    """Follow the way to a page of the staff view."""
    person.press(f"main a[href$='/admin/{page}']")
    person.wait_for_page("admin", page)


def search(person: Visitor, typed: str) -> None:
    """Search for a person by a help code or borrower number."""
    person.write("#find", typed)
    person.press("button[name=do][value=find]")


def has(person: Visitor, selector: str) -> bool:
    """Return whether something is on the page."""
    return person.page.query_selector(selector) is not None


def until(desk: Visitor, code: str, holds: Callable[[], bool]) -> None:
    """Search for a person until the worker has brought something about."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, desk.text("main")
        search(desk, code)
        desk.page.wait_for_selector("[data-state]")


def log_in(person: Visitor, name: str) -> None:
    """Log in at My loans with the university, up to the page that follows."""
    person.open("library", "/")
    person.press("a.button[href='/my-loans']")
    person.wait_for_page("choose")
    person.press("button[name=upstream][value=wayf]")
    person.pick(name)


def provoke_refusal(person: Visitor) -> str:
    """Be refused as somebody else, and give the reference that the page shows."""
    person.open("library", "/")
    person.press("a.button[href='/my-loans']")
    person.wait_for_page("choose")
    person.press("button[name=upstream][value=wayf]")
    person.pick("lars")
    person.wait_for_page("refuse")
    return person.text(".reference .code")


def whole(person: Visitor, selector: str = "main") -> None:
    """Wait for something on the page, and look at it by axe in both schemes and widths."""
    person.page.wait_for_selector(selector)
    person.look()


@pytest.mark.parametrize("language", ["da-DK", pytest.param("en-GB", marks=pytest.mark.full)])
def test_the_pages_of_an_admin(visit: Visit, language: str) -> None:
    """In by the strict cookie, each page with its error and its answer, and out again."""
    reference = provoke_refusal(visit(language=language))
    admin = visit(language=language)
    admin.open("broker", "/admin")
    whole(admin, "main[data-reason=login]")
    enter(admin, "bo")
    whole(admin)
    go(admin, "try")
    admin.write("#affiliation", "1403044004")
    admin.press("main form button.main")
    whole(admin, "[data-problem=affiliation_cpr]")
    assert admin.page.input_value("#affiliation") == ""
    admin.write("#affiliation", "student@au.dk")
    admin.press("main form button.main")
    whole(admin, "pre")
    admin.write("#affiliation", "affiliate@au.dk")
    admin.press("main form button.main")
    whole(admin, "pre")
    go(admin, "person")
    search(admin, reference)
    whole(admin, "#page")
    assert re.search("^(refused|afvist) ", admin.text("pre"))
    admin.open("broker", "/admin")
    admin.press("main form button")
    whole(admin, "main[data-reason=left]")


@pytest.mark.parametrize("language", ["da-DK", pytest.param("en-GB", marks=pytest.mark.full)])
def test_the_pages_of_the_service_desk(visit: Visit, language: str) -> None:
    """The list of cases, a CPR number that is thrown away, and the person of a help code."""
    code = provoke_refusal(visit(language=language))
    desk = visit(language=language)
    enter(desk, "cilla")
    whole(desk, "main[data-reason=home]")
    go(desk, "person")
    search(desk, "1403044004")
    whole(desk, "[data-problem=find_cpr]")
    search(desk, code)
    whole(desk, "#page")


@pytest.mark.parametrize(("language", "name"), [("da-DK", "asta"), pytest.param("en-GB", "bo", marks=pytest.mark.full)])
def test_cases_from_the_person_s_page_to_their_end(visit: Visit, language: str, name: str) -> None:
    """Two borrowers, and then another person's name: staff correct each and try again, and the person logs in."""
    person, desk = visit(language=language), visit(language=language)
    known, patrons = persona(name), person.demo.patrons.patrons
    cpr = known.cpr or ""
    registered = {"surname": "Somebody", "firstname": "Else", "library_id": "AUL", "category_id": "STUDENT"}
    first, second = (
        str(patrons.create({**registered, "cardnumber": card, "userid": card})["patron_id"])
        for card in (cpr, f"{cpr[:6]}-{cpr[6:]}")
    )
    log_in(person, name)
    person.wait_for_page("refuse", "several_borrowers")
    code = person.text(".reference .code")
    enter(desk, "cilla")
    whole(desk, "[data-case]")
    go(desk, "person")
    search(desk, code)
    whole(desk, "[data-state=case]")
    assert {first, second} <= set(re.findall(r"\d+", desk.text("[data-state] dl")))
    assert cpr not in desk.page.content()
    several = desk.text("[data-state] h2")
    patrons.merge(int(first), int(second))
    desk.press("button[name=do][value=try_again]")
    whole(desk, "[data-done=tried]")
    until(desk, code, lambda: desk.text("[data-state] h2") != several and has(desk, "[data-state=case]"))
    whole(desk, "[data-state=case]")
    patrons.edit(int(first), surname=known.attributes["sn"][0], firstname=known.attributes["gn"][0])
    desk.press("button[name=do][value=try_again]")
    until(desk, code, lambda: has(desk, "[data-state=done]"))
    whole(desk, "[data-state=done]")
    desk.open("broker", "/admin")
    desk.wait_for_page("admin", "home")
    assert not has(desk, "[data-case]")
    again = visit(language=language)
    log_in(again, name)
    again.page.wait_for_selector("main:is([data-step=ask], [data-step=changed], [data-step=upgrade])")


def test_all_of_it_by_keyboard_and_without_scripts(visit: Visit) -> None:
    """No script is needed, and each control is reached by the tab key."""
    for ways in ({"keys": True}, {"scripts": False}):
        desk = visit(**ways)
        desk.open("broker", "/admin")
        desk.wait_for_page("admin", "login")
        desk.press("main a.button")
        desk.pick("cilla")
        desk.wait_for_page("admin", "home")
        go(desk, "person")
        search(desk, "BCDFGHJK")
        desk.page.wait_for_selector("[data-problem=find_unknown]")
