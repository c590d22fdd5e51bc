"""Single logout with real products: a logout that starts at one product ends the sessions at the others."""

from typing import Final
from urllib.parse import quote

import pytest

from broker.demo.check.persona_walk import onward, texts
from tests.interop.parties.pages import SHOWN, page
from tests.interop.parties.recording_browser import RecordingBrowser
from tests.interop.parties.table import OWN_PAGES, SERVICES, UPSTREAMS, row
from tests.interop.parties.world import KARLA, World

pytestmark = pytest.mark.slow  # ``make test`` runs only tests/walks/test_connect.py of the tests with real products

# The logout address of each product; ``home`` is the address to return to.
LEAVE: Final = {
    "shib": "/Shibboleth.sso/Logout?return={home}",
    "mellon": "/mellon/logout?ReturnTo={home}",
    **dict.fromkeys(OWN_PAGES, "/logout"),
}
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"


def list_services(peer: str = "shib") -> list[str]:
    """Return three services, and ``peer`` if it is not one of them."""
    return [*dict.fromkeys(("shib", "mellon", "python", peer))]


def log_in_everywhere(interop: World, upstream: str, services: list[str]) -> RecordingBrowser:
    """Return a browser that is logged in at these services by one upstream."""
    browser = RecordingBrowser()
    for peer in services:
        browser.get(page(interop, peer))
        onward(browser, KARLA, upstream)
    assert [is_logged_in(interop, browser, peer) for peer in services] == [True] * len(services)
    return browser


def is_logged_in(interop: World, browser: RecordingBrowser, peer: str) -> bool:
    """Return whether a product shows its protected page without another login."""
    browser.get(page(interop, peer))
    return SHOWN[peer].name_id in browser.read_lines()


def log_out_everywhere(interop: World, browser: RecordingBrowser, peer: str) -> None:
    """Start a logout at a service and choose to log out everywhere."""
    browser.get(interop.origin(peer) + LEAVE[peer].format(home=quote(interop.origin(peer) + "/")))
    choose_everywhere(browser)


def choose_everywhere(browser: RecordingBrowser) -> None:
    """Choose "everywhere" on the broker's logout page."""
    assert browser.mark() == ("logout", "ask")
    browser.open(texts(browser, "//main//a[contains(@href, 'scope=all')]/@href")[0])
    while posting := [each for each in browser.forms() if {"SAMLRequest", "SAMLResponse"} & each.fields.keys()]:
        browser.submit(posting[0])  # passport-saml publishes HTTP-POST only


def list_logout_statuses(browser: RecordingBrowser, place: str) -> list[str]:
    """Return the status of each LogoutResponse that the browser brought to ``place``."""
    return [
        str(code.get("Value")) for each in browser.find_logout_messages(place) for code in each.iter("{*}StatusCode")
    ]


@row(SERVICES, "logout")
def test_logout_at_a_service_ends_all_sessions(interop: World, peer: str) -> None:
    """A logout at one service, for everywhere, ends all sessions and returns the person to that service."""
    services = list_services(peer)
    browser = log_in_everywhere(interop, "lasso", services)
    log_out_everywhere(interop, browser, peer)
    assert browser.page is not None
    if peer in OWN_PAGES:
        assert browser.read_lines() == {"STATUS": "Success"}
    else:
        assert browser.page.url == interop.origin(peer) + "/"
    assert list_logout_statuses(browser, interop.origin(peer)) == [SUCCESS]
    assert [is_logged_in(interop, browser, each) for each in services] == [False] * len(services)


@row(SERVICES, "ended")
def test_a_service_ends_its_session_when_asked(interop: World, peer: str) -> None:
    """The product verifies and answers the broker's LogoutRequest, and its protected page is closed."""
    services = list_services(peer)
    browser = log_in_everywhere(interop, "pysaml2", services)
    log_out_everywhere(interop, browser, "mellon" if peer == "python" else "python")
    asked = [each for each in browser.find_logout_messages(interop.origin(peer)) if each.tag.endswith("LogoutRequest")]
    assert len(asked) == 1
    assert list_logout_statuses(browser, interop.front + "/saml/idp/slo") == [SUCCESS] * (len(services) - 1)
    assert not is_logged_in(interop, browser, peer)


@row(UPSTREAMS, "logout")
def test_logout_at_the_upstream_ends_all_sessions(interop: World, peer: str) -> None:
    """A logout at the upstream, for everywhere, ends the session of every service. The upstream receives Success."""
    browser = log_in_everywhere(interop, peer, list_services())
    browser.get(interop.sso(peer).removesuffix("/sso") + "/log-out")
    choose_everywhere(browser)
    assert [browser.read_lines().get("STATUS"), *texts(browser, "//strong[@id='status']/text()")][-1] == "Success"
    assert [is_logged_in(interop, browser, each) for each in list_services()] == [False] * len(list_services())


@row(UPSTREAMS, "ended")
def test_an_upstream_ends_its_session_when_asked(interop: World, peer: str) -> None:
    """The upstream verifies and answers the broker's LogoutRequest, and the next login shows its login page."""
    browser = log_in_everywhere(interop, peer, list_services())
    log_out_everywhere(interop, browser, "python")
    assert list_logout_statuses(browser, f"{interop.front}/saml/sp/{peer}/slo") == [SUCCESS]
    before = len(browser.sent)
    browser.get(page(interop, "python"))
    onward(browser, KARLA, peer)
    assert [action for action, _ in browser.sent[before:] if action.startswith(interop.sso(peer))] != []


@pytest.mark.parametrize("upstream", ["lasso", "pysaml2"])
def test_logout_at_one_service_keeps_the_other_sessions(interop: World, upstream: str) -> None:
    """A person who chooses to log out of one service only keeps the sessions at the others."""
    browser = log_in_everywhere(interop, upstream, list_services())
    browser.get(interop.origin("python") + LEAVE["python"])
    browser.open(texts(browser, "//main//a[contains(@href, 'scope=none')]/@href")[0])
    assert [is_logged_in(interop, browser, each) for each in list_services()] == [True, True, False]
