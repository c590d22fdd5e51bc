"""The broker as identity provider of the products that libraries put in front of their services."""

import base64
from typing import Final
from urllib.parse import parse_qs, quote

import pytest
from lxml import etree

from broker.core.entities import PERSISTENT
from broker.demo.check.persona_walk import onward
from tests.interop.parties.pages import SHOWN, log_in, page
from tests.interop.parties.recording_browser import RecordingBrowser, list_encryption_algorithms
from tests.interop.parties.table import OWN_PAGES, SERVICES, row
from tests.interop.parties.world import KARLA, OWN_SCOPE, UPSTREAMS, World

pytestmark = pytest.mark.slow  # ``make test`` runs only tests/walks/test_connect.py of the tests with real products

SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
GCM: Final = ["http://www.w3.org/2009/xmlenc11#aes128-gcm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"]


FORCE: Final = {
    "shib": "/Shibboleth.sso/Login?forceAuthn=true&target={page}",
    **dict.fromkeys(OWN_PAGES, "/protected/?force"),
}
PASSIVE: Final = {
    "shib": "/Shibboleth.sso/Login?isPassive=true&target={page}",
    "mellon": "/mellon/login?IsPassive=true&ReturnTo={page}",
    **dict.fromkeys(OWN_PAGES, "/protected/?passive"),
}
# Login links that name the upstream in the request, and the parameter that makes such a link passive.
NAMING: Final = {"shib": "/Shibboleth.sso/Lasso?target={page}", "python": "/protected/?way={lasso}"}
POSTING: Final = {"shib": "/Shibboleth.sso/Post?target={page}", **dict.fromkeys(OWN_PAGES, "/protected/?binding=post")}
LOOKING: Final = {"shib": "isPassive=true", "python": "passive"}


@row(SERVICES, "login")
def test_the_product_receives_the_released_attributes(interop: World, peer: str) -> None:
    """The protected page shows the NameID and each attribute that the policy releases to the service."""
    browser = log_in(interop, peer)
    assert browser.page is not None
    told, shown = browser.read_lines(), SHOWN[peer]
    assert browser.page.url == page(interop, peer)
    assert {name: told.get(name) for name in shown.values} == {
        name: value or interop.number() for name, value in shown.values.items()
    }
    again = log_in(interop, peer).read_lines()
    assert (told[shown.name_id] == again[shown.name_id]) is (shown.kind == PERSISTENT)


@row(SERVICES, "encrypted")
def test_the_assertion_is_encrypted(interop: World, peer: str) -> None:
    """The assertion is encrypted with AES-128-GCM and RSA-OAEP, and the product decrypts it."""
    browser = log_in(interop, peer)
    (response,) = browser.find_responses(interop.origin(peer))
    assert list_encryption_algorithms(response) == GCM
    assert response.find("{*}Assertion") is None
    assert browser.read_lines()[SHOWN[peer].name_id]


@row(SERVICES, "scopes")
def test_scoped_values_survive_the_stock_policy(interop: World, peer: str) -> None:
    """Debian's attribute-policy.xml keeps scoped values, because the broker's descriptor publishes their scopes."""
    told = log_in(interop, peer).read_lines()
    assert (told["eppn"], told["affiliation"]) == ("karla@au.dk", "student@au.dk")
    assert told["pairwise-id"].rpartition("@")[2] == OWN_SCOPE
    assert "invalid scope" not in (interop.apache.folder / "shibd.log").read_text()


@row(SERVICES, "force")
def test_a_fresh_login_reaches_the_upstream(interop: World, peer: str) -> None:
    """A login with ForceAuthn asks the person to log in again at the upstream. A login without it uses the session."""
    browser = log_in(interop, peer, "lasso")
    place = interop.sso("lasso")
    browser.get(page(interop, "mellon"))
    onward(browser, KARLA, "lasso")
    logins = [fields for action, fields in browser.sent if action.startswith(place)]
    browser.get(interop.origin(peer) + FORCE[peer].format(page=quote(page(interop, peer))))
    onward(browser, KARLA, "lasso")
    again = [fields for action, fields in browser.sent if action.startswith(place)]
    assert [each.get("ForceAuthn") for each in browser.find_requests(place)] == [None, None, "true"]
    assert (len(logins), len(again)) == (1, 2)
    assert browser.read_lines()[SHOWN[peer].name_id]


@row(SERVICES, "passive")
def test_a_passive_request_without_a_session_gets_no_passive(interop: World, peer: str) -> None:
    """The product receives NoPassive where it expects it, and the broker shows no page."""
    browser = RecordingBrowser()
    browser.get(interop.origin(peer) + PASSIVE[peer].format(page=quote(page(interop, peer))))
    onward(browser, KARLA, "wayf")
    (response,) = browser.find_responses(interop.origin(peer))
    codes = [str(each.get("Value")).rpartition(":")[2] for each in response.iter("{*}StatusCode")]
    told = browser.read_lines()
    assert codes == ["Responder", "NoPassive"]
    assert len(browser.sent) == 1
    if peer == "shib":
        assert parse_qs(told["QUERY_STRING"])["statusCode2"] == ["urn:oasis:names:tc:SAML:2.0:status:NoPassive"]
    if peer == "mellon":
        assert told["REQUEST_URI"] == "/refused.shtml"
    if peer in OWN_PAGES:
        assert told["STATUS"].endswith("NoPassive")


@row({each: SERVICES[each] for each in NAMING}, "passive")
def test_a_passive_request_with_a_session_succeeds(interop: World, peer: str) -> None:
    """A passive request that names the upstream succeeds if the person has a session there and has consented before."""
    address = interop.origin(peer) + NAMING[peer].format(page=quote(page(interop, peer)), lasso=UPSTREAMS["lasso"])
    browser = RecordingBrowser()
    browser.get(address)
    onward(browser, KARLA, "lasso", remember=True)
    before = len(browser.sent)
    browser.get(f"{address}&{LOOKING[peer]}")
    onward(browser, KARLA, "lasso")
    posted = [action for action, _ in browser.sent[before:]]
    assert browser.find_requests(interop.sso("lasso"))[-1].get("IsPassive") == "true"
    assert [each.rpartition("/")[2] for each in posted] == ["acs", "POST" if peer == "shib" else "acs"]
    assert browser.read_lines()[SHOWN[peer].name_id]


@row(SERVICES, "signed")
def test_an_unsigned_request_is_rejected(interop: World, peer: str) -> None:
    """The product signs by RSA-SHA256. The broker rejects the same request without its signature."""
    browser = RecordingBrowser()
    browser.get(page(interop, peer))
    sso = interop.front + "/saml/idp/sso"
    (request,) = (each for each in browser.audit_log if each.startswith(f"{sso}?"))
    assert browser.mark()[0] == "choose"
    assert browser.find_signature_algorithms(sso) == [SHA256]
    bare = "&".join(each for each in request.split("&") if not each.startswith(("SigAlg=", "Signature=")))
    browser.get(bare)
    assert browser.mark() == ("error", "message_refused")


@row(SERVICES, "post")
def test_a_posted_request_is_accepted(interop: World, peer: str) -> None:
    """An AuthnRequest that is signed in the XML and sent by HTTP-POST leads to the protected page."""
    address = interop.origin(peer) + POSTING[peer].format(page=quote(page(interop, peer)))
    browser = log_in(interop, peer, address=address)
    action, fields = browser.sent[0]
    request = etree.fromstring(base64.b64decode(fields["SAMLRequest"]))
    assert action == f"{interop.front}/saml/idp/sso"
    assert [each.get("Algorithm") for each in request.iter("{*}SignatureMethod")] == [SHA256]
    assert browser.read_lines()[SHOWN[peer].name_id]


@row(SERVICES, "deflated")
def test_a_deflated_post_is_accepted(interop: World, peer: str) -> None:
    """An AuthnRequest that is DEFLATEd before it is posted is accepted: passport-saml does so, against the standard."""
    browser = log_in(interop, peer, address=f"{page(interop, peer)}?binding=deflated")
    action, fields = browser.sent[0]
    assert action.endswith("/saml/idp/sso")
    assert not base64.b64decode(fields["SAMLRequest"]).lstrip().startswith(b"<")
    assert browser.read_lines()[SHOWN[peer].name_id]


def test_a_deep_link_leads_back_to_itself(interop: World) -> None:
    """mod_auth_mellon's RelayState with an address of over 1,100 characters survives the login."""
    link = f"{page(interop, 'mellon')}?q={'deep' * 275}"
    browser = log_in(interop, "mellon", address=link)
    (sent,) = (
        fields["RelayState"] for _, fields in browser.sent if "SAMLResponse" in fields and "RelayState" in fields
    )
    assert len(sent) > 1100
    assert browser.page is not None
    assert browser.page.url == link
    assert browser.read_lines()[SHOWN["mellon"].name_id]
