"""The attacks of ``test_binding`` in Chromium and Firefox, which apply cookie rules themselves.

Source: docs/reference/design.md#4a.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
import requests
from playwright.sync_api import Browser

from broker.demo.run.running_demo import Running
from tests.plugins.visitor import Visitor, visitor


class Sit(Protocol):
    """A function that opens a fresh browser."""

    def __call__(self, *, scripts: bool = True) -> Visitor:
        """Open a fresh browser."""


@pytest.fixture
def sit(browser: Browser, demo: Running) -> Iterator[Sit]:
    """Return a function that opens browsers which share no state."""
    opened: list[Visitor] = []

    def open_one(*, scripts: bool = True) -> Visitor:
        opened.append(visitor(browser, demo, scripts=scripts))
        return opened[-1]

    yield open_one
    for each in opened:
        each.page.context.close()


@pytest.mark.attack(16, 30)
def test_a_fixed_session_gives_no_access(sit: Sit) -> None:
    """Session fixation: the attacker starts a login and lures the victim to the hub. Neither browser gets anything."""
    attacker, victim = sit(), sit()
    victim.page.goto(_go_to_hub(attacker))
    victim.pick("asta")
    victim.wait_for_page("error", "other_browser")
    attacker.page.goto(victim.page.url)
    attacker.wait_for_page("choose")


@pytest.mark.attack(16)
def test_a_victim_cannot_answer_the_attackers_second_request(sit: Sit) -> None:
    """The attacker answers the first request of a login and sends the victim the second. The victim gets a refusal."""
    attacker, victim = sit(), sit()
    attacker.page.goto(_log_in_until_consent(attacker).replace("/consent", "/upstream"))
    attacker.wait_for_page("choose")
    attacker.press("button[name=upstream][value=wayf]")
    attacker.page.wait_for_selector("button[name=persona]")
    victim.page.goto(attacker.page.url)
    victim.pick("bo")
    victim.wait_for_page("error", "other_browser")


@pytest.mark.attack(16)
def test_login_csrf_is_refused(sit: Sit) -> None:
    """Login CSRF: the victim opens the attacker's arrival link.

    The victim is not logged in, and the link is used up.
    """
    attacker, victim = sit(scripts=False), sit()
    _go_to_hub(attacker)
    attacker.press("button[name=persona][value=bo]")
    attacker.page.wait_for_selector("input[name=SAMLResponse]", state="attached")
    fields = {"SAMLResponse": attacker.find("input[name=SAMLResponse]").get_attribute("value")}
    broker = attacker.origin("broker")
    acs = broker.replace("broker.localhost", "127.0.0.1") + "/saml/sp/wayf/acs"
    arrived = requests.post(acs, fields, allow_redirects=False, timeout=60)
    assert arrived.status_code == 303
    victim.page.goto(arrived.headers["Location"])
    victim.wait_for_page("error", "other_browser")
    attacker.page.goto(arrived.headers["Location"])
    attacker.wait_for_page("choose")


@pytest.mark.attack(30)
@pytest.mark.parametrize(("prefix", "reason"), [("a-", "other_browser"), ("b-", "login_cookie_missing")])
def test_one_cookie_without_the_other_opens_nothing(sit: Sit, prefix: str, reason: str) -> None:
    """One stolen cookie without the other opens no page. Both together open it, which shows that the test works."""
    person, thief = sit(), sit()
    address = _log_in_until_consent(person)
    both: Any = [each for each in person.page.context.cookies() if each["name"].startswith(("a-", "b-"))]
    thief.page.context.add_cookies([each for each in both if each["name"].startswith(prefix)])
    thief.page.goto(address)
    thief.wait_for_page("error", reason)
    thief.page.context.add_cookies(both)
    thief.page.goto(address)
    thief.wait_for_page("ask")


@pytest.mark.attack(30)
def test_another_site_s_form_consents_to_nothing(sit: Sit) -> None:
    """CSRF: a form on another site sends no cookie, so it records no consent and the page stays open."""
    person = sit()
    address = _log_in_until_consent(person)
    person.page.goto("about:blank")
    person.page.evaluate(
        """address => {
            const form = document.body.appendChild(document.createElement("form"));
            form.method = "post";
            form.action = address;
            form.innerHTML = "<input name=token value=1><button name=answer value=yes>Win</button>";
        }""",
        address,
    )
    person.press("button")
    person.wait_for_page("error", "other_browser")
    person.page.goto(address)
    person.wait_for_page("ask")


@pytest.mark.attack(16)
def test_a_page_full_of_logins_evicts_no_cookie(sit: Sit) -> None:
    """A page that starts thirty logins through images sets no cookie. The login in progress still succeeds."""
    person = sit()
    address = _log_in_until_consent(person)
    before = _names(person)
    person.page.goto("about:blank")
    person.page.evaluate(
        """address => [...Array(30).keys()].forEach(number => {
            document.body.appendChild(new Image()).src = address + "?number=" + number;
        })""",
        person.origin("library") + "/my-loans",
    )
    person.page.wait_for_timeout(1500)
    assert _names(person) == before
    person.page.goto(address)
    person.wait_for_page("ask")
    person.agree()
    person.page.wait_for_selector("#borrower")


@pytest.mark.attack(16, control=True)
def test_tabs_side_by_side_do_not_mix(sit: Sit) -> None:
    """Two logins of different people in two tabs of one browser each end with their own person."""
    first = sit()
    second = Visitor(first.page.context.new_page(), first.demo)
    for tab in (first, second):
        _go_to_hub(tab)
    for tab, name in ((second, "bo"), (first, "asta")):
        tab.pick(name)
        tab.wait_for_page("ask")
    for tab, name in ((first, "Ravn"), (second, "Lindegaard")):
        assert name in tab.text("main")
        tab.agree()
        tab.page.wait_for_selector("#borrower")


def _go_to_hub(person: Visitor) -> str:
    """Open a service, go on to the hub, and return the hub's address."""
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    person.press("button[name=upstream][value=wayf]")
    person.page.wait_for_selector("button[name=persona]")
    return person.page.url


def _log_in_until_consent(person: Visitor) -> str:
    """Log in until the consent page, and return its address."""
    _go_to_hub(person)
    person.pick("asta")
    person.wait_for_page("ask")
    return person.page.url


def _names(person: Visitor) -> set[str]:
    return {str(each["name"]) for each in person.page.context.cookies() if each["name"][:2] in {"a-", "b-"}}
