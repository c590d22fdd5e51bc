"""Logout over the products: begun at any of them, it ends what was begun by the others."""

from typing import Final
from urllib.parse import quote

import pytest

from broker.demo.check.persona_walk import onward, texts
from tests.interop.parties.pages import SHOWN, page
from tests.interop.parties.table import OWN_PAGES, SERVICES, UPSTREAMS, row
from tests.interop.parties.watching import Watched
from tests.interop.parties.world import KARLA, World

pytestmark = pytest.mark.slow  # of the products of the field, make test runs those of tests/walks/test_connect.py

# Where a product begins a logout, and where its person then comes back to.
LEAVE: Final = {
    "shib": "/Shibboleth.sso/Logout?return={home}",
    "mellon": "/mellon/logout?ReturnTo={home}",
    **dict.fromkeys(OWN_PAGES, "/logout"),
}
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"


def several(peer: str = "shib") -> list[str]:
    """Give three services, and the one that a test is about."""
    return [*dict.fromkeys(("shib", "mellon", "python", peer))]


def everywhere(interop: World, upstream: str, services: list[str]) -> Watched:
    """Give the browser of somebody who is logged in at these services by one upstream."""
    browser = Watched()
    for peer in services:
        browser.get(page(interop, peer))
        onward(browser, KARLA, upstream)
    assert [inside(interop, browser, peer) for peer in services] == [True] * len(services)
    return browser


def inside(interop: World, browser: Watched, peer: str) -> bool:
    """Open the protected page of a product; say whether it is shown at once."""
    browser.get(page(interop, peer))
    return SHOWN[peer].name_id in browser.told()


def leave(interop: World, browser: Watched, peer: str) -> None:
    """Log out at a service, and everywhere."""
    browser.get(interop.origin(peer) + LEAVE[peer].format(home=quote(interop.origin(peer) + "/")))
    log_out(browser)


def log_out(browser: Watched) -> None:
    """Say on our page that it is to be everywhere."""
    assert browser.mark() == ("logout", "ask")
    browser.open(texts(browser, "//main//a[contains(@href, 'scope=all')]/@href")[0])
    while posting := [each for each in browser.forms() if {"SAMLRequest", "SAMLResponse"} & each.fields.keys()]:
        browser.submit(posting[0])  # passport-saml publishes HTTP-POST only


def answers(browser: Watched, place: str) -> list[str]:
    """Give the status of each LogoutResponse that was brought to an address."""
    return [str(code.get("Value")) for each in browser.logouts(place) for code in each.iter("{*}StatusCode")]


@row(SERVICES, "logout")
def test_a_logout_at_a_service_ends_all(interop: World, peer: str) -> None:
    """Who logs out at one and says everywhere is out at all and at the upstream, and comes back to where they began."""
    services = several(peer)
    browser = everywhere(interop, "lasso", services)
    leave(interop, browser, peer)
    assert browser.page is not None
    if peer in OWN_PAGES:
        assert browser.told() == {"STATUS": "Success"}
    else:
        assert browser.page.url == interop.origin(peer) + "/"
    assert answers(browser, interop.origin(peer)) == [SUCCESS]
    assert [inside(interop, browser, each) for each in services] == [False] * len(services)


@row(SERVICES, "ended")
def test_a_service_ends_its_session_when_asked(interop: World, peer: str) -> None:
    """Our LogoutRequest is verified and answered by the product, and its page is closed."""
    services = several(peer)
    browser = everywhere(interop, "pysaml2", services)
    leave(interop, browser, "mellon" if peer == "python" else "python")
    asked = [each for each in browser.logouts(interop.origin(peer)) if each.tag.endswith("LogoutRequest")]
    assert len(asked) == 1
    assert answers(browser, interop.front + "/saml/idp/slo") == [SUCCESS] * (len(services) - 1)
    assert not inside(interop, browser, peer)


@row(UPSTREAMS, "logout")
def test_a_logout_at_the_upstream_ends_all(interop: World, peer: str) -> None:
    """Who logs out there and says everywhere is out at every service, and the upstream is told that it went well."""
    browser = everywhere(interop, peer, several())
    browser.get(interop.sso(peer).removesuffix("/sso") + "/log-out")
    log_out(browser)
    assert [browser.told().get("STATUS"), *texts(browser, "//strong[@id='status']/text()")][-1] == "Success"
    assert [inside(interop, browser, each) for each in several()] == [False] * len(several())


@row(UPSTREAMS, "ended")
def test_an_upstream_ends_its_session_when_asked(interop: World, peer: str) -> None:
    """Our LogoutRequest is verified and answered there, and the next login shows its login page."""
    browser = everywhere(interop, peer, several())
    leave(interop, browser, "python")
    assert answers(browser, f"{interop.front}/saml/sp/{peer}/slo") == [SUCCESS]
    before = len(browser.sent)
    browser.get(page(interop, "python"))
    onward(browser, KARLA, peer)
    assert [action for action, _ in browser.sent[before:] if action.startswith(interop.sso(peer))] != []


@pytest.mark.parametrize("upstream", ["lasso", "pysaml2"])
def test_whoever_stays_stays(interop: World, upstream: str) -> None:
    """A logout at one service ends that session only, if the person chooses so."""
    browser = everywhere(interop, upstream, several())
    browser.get(interop.origin("python") + LEAVE["python"])
    browser.open(texts(browser, "//main//a[contains(@href, 'scope=none')]/@href")[0])
    assert [inside(interop, browser, each) for each in several()] == [True, True, False]
