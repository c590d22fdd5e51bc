"""The staff view in a real browser: an admin and the desk from login to logout, every page whole in every look."""

import re
from collections.abc import Callable

import pytest

from tests.plugins.visitor import Visitor

Visit = Callable[..., Visitor]

# Only Chromium shows a page in another colour scheme when it is told to.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("browser", ["chromium"], indirect=True)]


def enter(person: Visitor, name: str) -> None:
    """Come in by the link of the page that says where to log in."""
    person.open("broker", "/admin")
    person.at("admin", "login")
    person.press("main a.button")
    person.pick(name)
    person.at("admin", "home")


def go(person: Visitor, page: str) -> None:
    """Follow the way to a page of the staff view."""
    person.press(f"main a[href$='/admin/{page}']")
    person.at("admin", page)


def look_up(person: Visitor, typed: str, button: str = "find") -> None:
    """Write a reference and look it up."""
    person.write("#reference", typed)
    person.press(f"button[name=do][value={button}]")


def refused(person: Visitor) -> str:
    """Be refused as somebody else, and give the reference that the page shows."""
    person.open("library", "/")
    person.press("a.button[href='/my-loans']")
    person.at("choose")
    person.press("button[name=upstream][value=wayf]")
    person.pick("lars")
    person.at("refuse")
    return person.text(".reference .code")


@pytest.mark.parametrize("language", ["da-DK", "en-GB"])
def test_an_admin_and_the_desk(visit: Visit, language: str) -> None:
    """Login by the strict cookie, each page and each form with its error and its answer, and out again."""
    reference = refused(visit(language=language))
    admin = visit(language=language, looking=True)
    enter(admin, "bo")
    go(admin, "live")
    go(admin, "report")
    go(admin, "try")
    admin.write("#affiliation", "1403044004")
    admin.press("main form button.main")
    admin.at("admin", "try")
    assert admin.find("[data-problem=affiliation_cpr]").count() == 1
    assert admin.page.input_value("#affiliation") == ""
    admin.write("#affiliation", "affiliate@au.dk")
    admin.press("main form button.main")
    admin.page.wait_for_selector("pre")
    admin.look()
    go(admin, "explain")
    look_up(admin, reference)
    admin.page.wait_for_selector("pre")
    admin.look()
    assert re.search("^refused ", admin.text("pre"))
    admin.open("broker", "/admin/desk")
    admin.at("error", "staff_role_missing")
    admin.open("broker", "/admin")
    admin.press("main form button")
    admin.at("admin", "left")
    desk = visit(language=language, looking=True)
    enter(desk, "cilla")
    go(desk, "desk")
    look_up(desk, "1403044004")
    desk.page.wait_for_selector("[data-problem=reference_cpr]")
    desk.look()
    look_up(desk, reference)
    desk.page.wait_for_selector("pre")
    desk.look()


def test_all_of_it_by_keyboard_and_without_scripts(visit: Visit) -> None:
    """No script is needed, and each control is reached by the tab key."""
    for ways in ({"keys": True}, {"scripts": False}):
        desk = visit(**ways)
        desk.open("broker", "/admin")
        desk.at("admin", "login")
        desk.press("main a.button")
        desk.pick("cilla")
        desk.at("admin", "home")
        go(desk, "desk")
        look_up(desk, "BCDFGHJK")
        desk.page.wait_for_selector("[data-problem=reference_unknown]")
