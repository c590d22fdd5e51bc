"""The demo in real browsers: a student by WAYF and a private person by NemID, with axe on every page of the broker."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from broker.demo.run.running_demo import Running
from tests.plugins.visitor import go_back_and_forward

USUAL = ("chromium", "da-DK", "light", 1280)
FIREFOX = ("firefox", "en-GB", "light", 1280)
DARK = pytest.param(("chromium", "en-GB", "dark", 320), marks=pytest.mark.full)
LOOKS = [USUAL, pytest.param(FIREFOX, marks=pytest.mark.full), DARK]
in_each_browser = pytest.mark.parametrize(
    "page",
    [USUAL, pytest.param(FIREFOX, marks=pytest.mark.slow), DARK],
    indirect=True,
    ids=["chromium", "firefox", "dark"],
)


@pytest.fixture(params=LOOKS, ids=lambda each: "-".join(map(str, each)))
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """Yield a window of each browser, language, colour scheme and width."""
    name, locale, scheme, width = request.param
    window: Any = request.getfixturevalue(name).new_context(
        locale=locale, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    yield window.new_page()
    window.close()


def sound(page: Page) -> None:
    """Hold axe against the page, and see that nothing hangs out at its side."""
    if isinstance(page, Page):  # what axe finds is the page's fault, in whichever browser
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def walk(page: Page, demo: Running, persona: str, way: str) -> None:
    """Log a persona in at My loans up to the consent screen."""
    page.goto(demo.setting.ports.origin("library"))
    page.click("a[href='/my-loans']")
    page.wait_for_selector("main[data-step=choose]")
    page.click(f"button[name=upstream][value={way}]")
    page.click(f"button[name=persona][value={persona}]")
    page.wait_for_selector("main[data-step]")


@in_each_browser
@pytest.mark.parametrize(("persona", "way", "category"), [("asta", "wayf", "STUDENT"), ("eva", "nemid", "PRIVATE")])
def test_a_person_lands_in_my_loans(page: Page, demo: Running, persona: str, way: str, category: str) -> None:
    """The person sees what is sent and why, agrees, and lands with a borrower account."""
    walk(page, demo, persona, way)
    assert page.get_attribute("main", "data-step") == "ask"
    sound(page)
    page.click("button[name=answer][value=yes]")
    page.wait_for_selector("#borrower")
    assert page.get_attribute("#category", "data-category") == category
    assert page.inner_text("#status") == "Success"


def test_the_number_is_shown_to_its_owner_only(page: Page, demo: Running) -> None:
    """The CPR number is masked on the screen, whole on its own page, and the way back leads to the question."""
    walk(page, demo, "asta", "wayf")
    assert "1403044004" not in page.content()
    page.click("button[name=reveal]")
    page.wait_for_selector("main[data-step=reveal]")
    assert "140304-4004" in page.content()
    sound(page)
    page.click("main a.button")
    page.wait_for_selector("main[data-step=ask]")


def test_declining_shows_the_way_out_and_returns(page: Page, demo: Running) -> None:
    """No leads to the page with the alternatives; back to the question, no again, and back to the service."""
    walk(page, demo, "asta", "wayf")
    page.click("button[name=answer][value=no]")
    page.wait_for_selector("main[data-reason=consent_refused]")
    sound(page)
    page.click("button[name=reconsider]")
    page.wait_for_selector("main[data-step=ask]")
    page.click("button[name=answer][value=no]")
    page.wait_for_selector("main[data-reason=consent_refused]")
    page.click("form:last-of-type button")
    page.wait_for_selector("#status")
    assert page.inner_text("#status") == "Responder / RequestDenied"


def test_a_refusal_is_a_page(page: Page, demo: Running) -> None:
    """A person who may not borrow sees a page with the reason, and can return to the service."""
    walk(page, demo, "finn", "nemid")
    assert page.get_attribute("main", "data-reason") == "too_young"
    sound(page)


@in_each_browser
def test_back_and_reload_lose_nothing(page: Page, demo: Running) -> None:
    """Back from the question and forward again, and a reload of it, still end at the service."""
    walk(page, demo, "bo", "wayf")
    page.reload()
    go_back_and_forward(page, "main[data-step=ask]")
    page.click("button[name=answer][value=yes]")
    page.wait_for_selector("#borrower")


def test_it_works_without_javascript(browser: Browser, demo: Running) -> None:
    """Without scripts every self-posting page has a button, and the login lands."""
    window: Any = browser.new_context(java_script_enabled=False)
    page = window.new_page()
    page.goto(demo.setting.ports.origin("library") + "/my-loans")
    page.click("button[name=upstream][value=wayf]")
    page.click("button[name=persona][value=dan]")
    page.click("main form button")
    page.click("button[name=answer][value=yes]")
    page.click("main[data-step=issue] form button")
    page.wait_for_selector("#borrower")
    window.close()


@pytest.mark.slow
def test_six_first_tabs_of_one_browser_all_land(browser: Browser, demo: Running) -> None:
    """Opened side by side before any cookie was there, each logged in, then Yes in each: all end at the service."""
    window: Any = browser.new_context()
    tabs = [window.new_page() for _ in range(6)]
    for tab in tabs:
        tab.goto(demo.setting.ports.origin("library") + "/my-loans", wait_until="commit")
    for tab, persona in zip(tabs, itertools.cycle(("asta", "bo")), strict=False):
        tab.click("button[name=upstream][value=wayf]")
        tab.click(f"button[name=persona][value={persona}]")
        tab.wait_for_selector("main[data-step]")
    for tab in tabs:
        if tab.get_attribute("main", "data-step") == "ask":
            tab.click("button[name=answer][value=yes]")
        tab.wait_for_selector("#borrower")
    window.close()
