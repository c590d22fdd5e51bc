"""The broker as service provider of the products with which institutions log people in."""

from typing import Final

import pytest

from broker.demo.check.persona_walk import onward
from broker.demo.people.personas import AU
from tests.interop.parties.pages import SHOWN, log_in, page
from tests.interop.parties.recording_browser import RecordingBrowser, list_encryption_algorithms
from tests.interop.parties.table import UPSTREAMS, row
from tests.interop.parties.world import KARLA, STRAY, TARGETED, World
from tests.interop.parties.world import UPSTREAMS as ENTITY_IDS

pytestmark = pytest.mark.slow  # ``make test`` runs only tests/walks/test_connect.py of the tests with real products

SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
CBC: Final = ["http://www.w3.org/2001/04/xmlenc#aes256-cbc", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"]


def acs_address(interop: World, peer: str) -> str:
    """Return the address to which an upstream posts its Responses."""
    return f"{interop.front}/saml/sp/{peer}/acs"


def count_logins(interop: World, browser: RecordingBrowser, peer: str) -> int:
    """Count the submitted login pages of the upstream."""
    return len([action for action, _ in browser.sent if action.startswith(interop.sso(peer))])


@row(UPSTREAMS, "login")
def test_the_service_receives_the_asserted_attributes(interop: World, peer: str) -> None:
    """A login at this upstream reaches mod_shib's page with all attributes that the policy releases."""
    told, shown = log_in(interop, "shib", peer).read_lines(), SHOWN["shib"]
    assert {name: told.get(name) for name in shown.values} == {
        name: value or interop.number() for name, value in shown.values.items()
    }
    assert told["persistent-id"].endswith(f"!{TARGETED}") is (peer in ENTITY_IDS)


@row(UPSTREAMS, "encrypted")
def test_an_encrypted_assertion_is_accepted(interop: World, peer: str) -> None:
    """Lasso encrypts to the key in the broker's descriptor with AES-256-CBC, which this upstream's settings allow."""
    browser = log_in(interop, "python", peer)
    (response,) = browser.find_responses(acs_address(interop, peer))
    assert list_encryption_algorithms(response) == CBC
    assert response.find("{*}Assertion") is None
    assert browser.read_lines()["NAME_ID"]


@row(UPSTREAMS, "scopes")
def test_a_foreign_scope_is_withheld(interop: World, peer: str) -> None:
    """The broker withholds a value whose scope does not belong to the upstream, and releases the others."""
    browser = log_in(interop, "mellon", peer, person=STRAY)
    assert browser.read_lines()["MELLON_affiliation"] == "student@au.dk"


@row(UPSTREAMS, "force")
def test_a_session_is_used_unless_a_fresh_login_is_asked_for(interop: World, peer: str) -> None:
    """A second login uses the upstream's session without a page. A login with ForceAuthn shows the login page."""
    browser = log_in(interop, "python", peer)
    browser.get(page(interop, "mellon"))
    onward(browser, KARLA, peer)
    before = count_logins(interop, browser, peer)
    browser.get(page(interop, "python") + "?force")
    onward(browser, KARLA, peer)
    assert [each.get("ForceAuthn") for each in browser.find_requests(interop.sso(peer))] == [None, None, "true"]
    assert (before, count_logins(interop, browser, peer) - before) == (1 if peer in ENTITY_IDS else 2, 1)
    assert browser.read_lines()["NAME_ID"]


@row(UPSTREAMS, "passive")
def test_no_passive_is_passed_on(interop: World, peer: str) -> None:
    """The upstream answers NoPassive if the person has no session there, and the broker passes NoPassive on."""
    way = ENTITY_IDS.get(peer, AU)
    browser = log_in(interop, "python", peer, f"{page(interop, 'python')}?passive&way={way}")
    (asked,) = browser.find_requests(interop.sso(peer))
    (answered,) = browser.find_responses(acs_address(interop, peer))
    assert asked.get("IsPassive") == "true"
    assert [str(each.get("Value")).rpartition(":")[2] for each in answered.iter("{*}StatusCode")][-1] == "NoPassive"
    assert count_logins(interop, browser, peer) == 0
    assert browser.read_lines() == {"STATUS": "StatusNoPassive"}


@row(UPSTREAMS, "signed")
def test_our_request_is_verified(interop: World, peer: str) -> None:
    """The upstream rejects the broker's AuthnRequest if one character of the RSA-SHA256 signature is changed."""
    browser = log_in(interop, "python", peer)
    assert browser.find_signature_algorithms(interop.sso(peer)) == [SHA256]
    request = next(each for each in browser.audit_log if each.startswith(interop.sso(peer)))
    before, _, signature = request.partition("Signature=")
    stranger = RecordingBrowser()
    stranger.get(f"{before}Signature={'B' if signature[0] == 'A' else 'A'}{signature[1:]}")
    assert "REFUSED" in stranger.read_lines()
