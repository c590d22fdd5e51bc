"""Logging out in a real browser: the question, who is silent, what stays open, and the way back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from tests.plugins.visitor import Visitor

Visit = Callable[..., Visitor]
# Only Playwright stops a request on its way, and shows a page in another colour scheme.
chromium_only = pytest.mark.parametrize("browser", ["chromium"], indirect=True)


def log_in(person: Visitor, name: str) -> None:
    """Log a persona of the hub in at two services in one browser."""
    for service in ("my-loans", "e-resources"):
        person.open("library", f"/{service}?way=wayf")
        person.page.wait_for_selector("main[data-step=choose], button[name=persona]")
        if person.page.query_selector("main[data-step=choose]"):
            person.press("button[name=upstream][value=wayf]")
        person.pick(name)
        person.page.wait_for_selector("main[data-step=ask], main[data-step=issue], #status")
        if person.page.query_selector("main[data-step=ask]"):  # a notice is shown once a year
            person.agree()
        elif not person.scripts:
            person.hand_over()
        person.page.wait_for_selector("#status")


def open_at(person: Visitor) -> list[str]:
    """Return the services that the library's front page offers to log out of."""
    person.open("library", "/")
    return [str(each.get_attribute("href")) for each in person.find("a[href$='/log-out']").all()]


def test_a_logout_everywhere_ends_all_sessions(visit: Visit) -> None:
    """One service asks, the person says everywhere, and the chain goes through the other and the hub and back."""
    person = visit()
    log_in(person, "asta")
    assert open_at(person) == ["/my-loans/log-out", "/e-resources/log-out"]
    person.press("a[href='/my-loans/log-out']")
    person.wait_for_page("logout", "ask")
    person.press("main a[href*='scope=all']")
    person.page.wait_for_selector("#status")
    assert person.text("#status") == "Success"
    assert open_at(person) == []
    person.open("hub", "/log-out")
    assert "Nobody is logged in" in person.text("h1")


@chromium_only
@pytest.mark.parametrize("language", ["da-DK", pytest.param("en-GB", marks=pytest.mark.full)])
def test_a_service_that_is_silent_is_gone_on_without(visit: Visit, language: str) -> None:
    """Back from a service that does not answer, the page says so, leads on, and says what stays open."""
    person = visit(language=language, looking=True)
    log_out_in_vain(person)
    person.press("main a[href*='without=']")
    person.wait_for_page("logout", "remains")
    person.press("main a.button")
    person.page.wait_for_selector("#status")
    assert person.text("#status") == "Success / PartialLogout"
    assert open_at(person) == ["/e-resources/log-out"]


@chromium_only
@pytest.mark.slow
def test_a_service_that_was_not_reached_is_asked_again(visit: Visit) -> None:
    """A person whose logout was interrupted, by a second press or a network failure, is logged out everywhere."""
    person = visit()
    log_out_in_vain(person)
    person.press("main a[href*='again=']")
    person.page.wait_for_selector("#status")
    assert person.text("#status") == "Success"
    assert open_at(person) == []


def log_out_in_vain(person: Visitor) -> None:
    """Log in at two services, and out everywhere, with the other one down."""
    log_in(person, "asta")
    person.open("library", "/my-loans/log-out")
    person.wait_for_page("logout", "ask")
    here = person.page.url
    person.page.route("**/on?scope=all", abort_redirect)
    with person.page.expect_response("**/on?scope=all"):
        person.press("main a[href*='scope=all']")
    person.page.goto(here)
    person.wait_for_page("logout", "wait")


def abort_redirect(route: Route) -> None:
    """Let the broker send the browser to a service, and never come there."""
    url = route.request.url.replace("broker.localhost", "127.0.0.1")  # what asks here resolves no other names
    assert "/e-resources/slo?" in route.fetch(url=url, max_redirects=0).headers["location"]
    route.fulfill(status=204)  # the browser stays where it is


@chromium_only
@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, pytest.param(False, marks=pytest.mark.full)])
def test_a_logout_at_the_upstream_asks_by_keyboard_too(visit: Visit, scripts: bool) -> None:
    """The hub logs its person out; the services end as the person says, with and without scripts."""
    person = visit(keys=True, scripts=scripts, looking=scripts)
    log_in(person, "bo")
    person.open("hub", "/log-out")
    person.wait_for_page("logout", "ask")
    person.press("main a[href*='scope=none']")
    person.page.wait_for_selector("#status")
    assert person.text("#status") == "Success / PartialLogout"
    assert open_at(person) == ["/my-loans/log-out", "/e-resources/log-out"]


def test_back_after_a_logout_delivers_nothing(visit: Visit) -> None:
    """The next person at the computer presses Back and does not get the previous person's login."""
    person = visit()
    person.open("library", "/e-resources?way=wayf")
    person.page.wait_for_selector("main[data-step=choose], button[name=persona]")
    if person.page.query_selector("main[data-step=choose]"):
        person.press("button[name=upstream][value=wayf]")
    person.pick("ib")
    person.wait_for_page("ask")
    asked = person.page.url
    person.agree()
    person.page.wait_for_selector("#status")
    person.open("library", "/e-resources/log-out")
    person.page.wait_for_selector("main[data-step=logout], #status")
    person.page.goto(asked)
    person.wait_for_page("error", "transaction_gone")
    assert {each.rpartition(" of ")[2] for each in person.faults} <= {"410 (GONE)"}  # the page's own answer
    person.faults.clear()
