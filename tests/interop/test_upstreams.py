"""The products by which people log in, with the broker as their service provider."""

from typing import Final

import pytest

from broker.demo.check.persona_walk import onward
from broker.demo.people.personas import AU
from tests.interop.parties.pages import SHOWN, log_in, page
from tests.interop.parties.table import UPSTREAMS, row
from tests.interop.parties.watching import Watched, sealed_by
from tests.interop.parties.world import KARLA, STRAY, TARGETED, World
from tests.interop.parties.world import UPSTREAMS as ENTITY_IDS

pytestmark = pytest.mark.slow  # of the products of the field, make test runs those of tests/walks/test_connect.py

SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
CBC: Final = ["http://www.w3.org/2001/04/xmlenc#aes256-cbc", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"]


def acs(interop: World, peer: str) -> str:
    """Give where the broker takes an upstream's answers."""
    return f"{interop.front}/saml/sp/{peer}/acs"


def logins(interop: World, browser: Watched, peer: str) -> int:
    """Count how often a login page of the upstream was answered."""
    return len([action for action, _ in browser.sent if action.startswith(interop.sso(peer))])


@row(UPSTREAMS, "login")
def test_what_is_asserted_arrives(interop: World, peer: str) -> None:
    """Who logs in there comes to mod_shib's page with all that the policy releases, as by any other upstream."""
    told, shown = log_in(interop, "shib", peer).told(), SHOWN["shib"]
    assert {name: told.get(name) for name in shown.values} == {
        name: value or interop.number() for name, value in shown.values.items()
    }
    assert told["persistent-id"].endswith(f"!{TARGETED}") is (peer in ENTITY_IDS)


@row(UPSTREAMS, "encrypted")
def test_an_encrypted_assertion_is_opened(interop: World, peer: str) -> None:
    """Lasso encrypts to the key of our descriptor by AES-256-CBC, which its upstream is configured to need."""
    browser = log_in(interop, "python", peer)
    (response,) = browser.answered(acs(interop, peer))
    assert sealed_by(response) == CBC
    assert response.find("{*}Assertion") is None
    assert browser.told()["NAME_ID"]


@row(UPSTREAMS, "scopes")
def test_a_foreign_scope_is_withheld(interop: World, peer: str) -> None:
    """What an upstream asserts for a scope that is not its own is not passed on, and the rest is."""
    browser = log_in(interop, "mellon", peer, person=STRAY)
    assert browser.told()["MELLON_affiliation"] == "student@au.dk"


@row(UPSTREAMS, "force")
def test_a_session_is_used_unless_a_fresh_login_is_asked_for(interop: World, peer: str) -> None:
    """The second login shows no page of the upstream that has a session; one with ForceAuthn does, and arrives."""
    browser = log_in(interop, "python", peer)
    browser.get(page(interop, "mellon"))
    onward(browser, KARLA, peer)
    before = logins(interop, browser, peer)
    browser.get(page(interop, "python") + "?force")
    onward(browser, KARLA, peer)
    assert [each.get("ForceAuthn") for each in browser.asked(interop.sso(peer))] == [None, None, "true"]
    assert (before, logins(interop, browser, peer) - before) == (1 if peer in ENTITY_IDS else 2, 1)
    assert browser.told()["NAME_ID"]


@row(UPSTREAMS, "passive")
def test_no_passive_is_passed_on(interop: World, peer: str) -> None:
    """Who has no session at the upstream that the service asked for is sent back by it, and so by us."""
    way = ENTITY_IDS.get(peer, AU)
    browser = log_in(interop, "python", peer, f"{page(interop, 'python')}?passive&way={way}")
    (asked,) = browser.asked(interop.sso(peer))
    (answered,) = browser.answered(acs(interop, peer))
    assert asked.get("IsPassive") == "true"
    assert [str(each.get("Value")).rpartition(":")[2] for each in answered.iter("{*}StatusCode")][-1] == "NoPassive"
    assert logins(interop, browser, peer) == 0
    assert browser.told() == {"STATUS": "StatusNoPassive"}


@row(UPSTREAMS, "signed")
def test_our_request_is_verified(interop: World, peer: str) -> None:
    """Our AuthnRequest is signed by RSA-SHA256; the upstream refuses it when one letter of the signature is another."""
    browser = log_in(interop, "python", peer)
    assert browser.signed_by(interop.sso(peer)) == [SHA256]
    request = next(each for each in browser.audit_log if each.startswith(interop.sso(peer)))
    before, _, signature = request.partition("Signature=")
    stranger = Watched()
    stranger.get(f"{before}Signature={'B' if signature[0] == 'A' else 'A'}{signature[1:]}")
    assert "REFUSED" in stranger.told()
