"""Attack: forged, changed or replayed AuthnRequests, to get an answer sent elsewhere or in another service's name.

Source: docs/reference/attacks.md#24, #26 and #27.
"""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.adapters.saml.xml_security.xml_names import DS, SIGNATURE
from broker.core.errors import MessageRefused
from broker.core.login.transaction import AuthnRequest
from tests.plugins.saml_parties import IDP, LOANS, NOW, OPEN, PRINT, Change, Parties, add, drop, edit, say

SCOPING = "<samlp:Scoping%s>%s</samlp:Scoping>"


def cause(parties: Parties, query: str, **more: Any) -> str:
    """Return the cause of a refusal that shows an error page."""
    with pytest.raises(MessageRefused) as caught:
        parties.idp.read_redirect(query, more.get("now", NOW))
    return caught.value.cause.removeprefix("request.")


@pytest.mark.attack(26)
@pytest.mark.parametrize(
    "issuer", ["https://unknown.example", OPEN.upper(), LOANS + " ", "https://hub.example", IDP, ""]
)
@pytest.mark.profile(33)
def test_an_unknown_issuer_is_refused(parties: Parties, issuer: str) -> None:
    """Only configured services may ask. Upstreams and the broker itself are refused."""
    root = parties.authn_request(say("saml:Issuer", issuer))
    assert cause(parties, parties.query(root, key=parties.service.key)) == "unknown_service"


@pytest.mark.attack(26)
@pytest.mark.parametrize(
    "change",
    [drop("saml:Issuer"), edit("saml:Issuer", Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")],
)
def test_an_issuer_must_be_an_entity_id(parties: Parties, change: Change) -> None:
    """A request without Issuer, or with an Issuer that is no entityID, is refused."""
    assert cause(parties, parties.query(parties.authn_request(change), key=parties.service.key)) == "unknown_service"


@pytest.mark.attack(6, 24)
@pytest.mark.profile(24)
def test_another_services_signature_is_refused(parties: Parties) -> None:
    """A service's request must be signed with a key in its metadata (docs/reference/attacks.md#24)."""
    root = parties.authn_request()
    assert cause(parties, parties.query(root, key=parties.stranger.key)) == "xml.signature"


@pytest.mark.attack(24)
def test_a_signature_that_cannot_be_verified_is_refused(parties: Parties) -> None:
    """A service does not have to sign, but a signature that is present must verify."""
    root = parties.authn_request(service=PRINT)
    assert parties.idp.read_redirect(parties.query(root, key=None), NOW).service == "print"
    assert parties.idp.read_redirect(parties.query(root, key=parties.service.key), NOW).service == "print"
    assert cause(parties, parties.query(root, key=parties.stranger.key)) == "xml.signature"


@pytest.mark.attack(24, 27)
@pytest.mark.parametrize("name", ["RelayState", "SAMLRequest"])
@pytest.mark.profile(24)
def test_signed_content_cannot_be_exchanged(parties: Parties, name: str) -> None:
    """The signature covers message and RelayState as they stand in the query (CVE-2025-27773)."""
    query = parties.query(parties.authn_request(), key=parties.service.key)
    other = parties.query(parties.authn_request(edit(".", ForceAuthn="true")), key=None, relay_state="other")
    swapped = dict(part.split("=", 1) for part in other.split("&"))[name]
    changed = "&".join(f"{name}={swapped}" if part.startswith(name + "=") else part for part in query.split("&"))
    assert cause(parties, changed) == "xml.signature"


@pytest.mark.attack(7, 24)
@pytest.mark.parametrize(
    "method", ["http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "none", ""]
)
@pytest.mark.profile(11, 24)
def test_an_algorithm_outside_the_list_is_refused(parties: Parties, method: str) -> None:
    """SHA-1, HMAC with the public key as secret, and an unknown algorithm are refused."""
    query = parties.query(parties.authn_request(), key=parties.service.key)
    start, _, rest = query.partition("SigAlg=")
    changed = f"{start}SigAlg={quote(method, safe='')}&{rest.partition('&')[2]}"
    assert cause(parties, changed) == "xml.signature_method"


@pytest.mark.attack(26)
def test_a_signed_request_needs_a_destination(parties: Parties) -> None:
    """A signed request needs a Destination, since it could be a request to another IdP.

    An unsigned one is only a link.
    """
    change = edit(".", Destination=None)
    assert cause(parties, parties.query(parties.authn_request(change), key=parties.service.key)) == "destination"
    assert parties.ask(change, service=PRINT).service == "print"


@pytest.mark.attack(26)
@pytest.mark.parametrize(
    ("seconds", "name"), [(-180, None), (-181, "issued_later"), (479, None), (480, "issued_long_ago")]
)
@pytest.mark.profile(1)
def test_a_request_is_fresh(parties: Parties, seconds: int, name: str | None) -> None:
    """A request is valid for five minutes plus clock skew: a form may wait, but a bookmark does not work.

    Source: docs/reference/attacks.md#26.
    """
    now = NOW + timedelta(seconds=seconds)
    if name is None:
        assert parties.ask(now=now).id == "_s1"
    else:
        assert cause(parties, parties.query(parties.authn_request(), key=parties.service.key), now=now) == name


@pytest.mark.attack(14, 24)
@pytest.mark.profile(24)
def test_a_post_request_is_verified_too(parties: Parties) -> None:
    """By POST the XML is signed.

    The request is refused without signature, with a stranger's, or with two message fields.
    """

    def post(root: Any, *more: tuple[str, str]) -> AuthnRequest:
        fields = [*http_bindings.build_post_fields(etree.tostring(root), "SAMLRequest", "s").items(), *more]
        return parties.idp.read_post(fields, NOW)

    def sign_request(key: signature.SigningKey) -> Any:
        root = parties.authn_request()
        signature.sign(root, key)
        return root

    assert post(sign_request(parties.service.key)).relay_state == "s"
    changed = sign_request(parties.service.key)
    changed.set("ForceAuthn", "true")
    for root, name in [
        (parties.authn_request(), "request.unsigned"),
        (sign_request(parties.stranger.key), "xml.signature"),
        (changed, "xml.signature"),
    ]:
        with pytest.raises(MessageRefused, match=name):
            post(root)
    for extra in [("SAMLRequest", "x"), ("RelayState", "x")]:
        with pytest.raises(MessageRefused, match=r"request\.fields"):
            post(sign_request(parties.service.key), extra)
    with pytest.raises(MessageRefused, match=r"request\.fields"):
        parties.idp.read_post([("RelayState", "s")], NOW)


@pytest.mark.attack(27)
@pytest.mark.parametrize(
    "state", ["https://evil.example/?a=1&b=2", '"><script>alert(1)</script>', "ss:mem:ab", " ", ""]
)
def test_relay_state_returns_unchanged(parties: Parties, state: str) -> None:
    """RelayState returns unchanged to the service only, and the page escapes it.

    Source: docs/reference/attacks.md#27.
    """
    request = parties.idp.read_redirect(
        parties.query(parties.authn_request(), key=parties.service.key, relay_state=state), NOW
    )
    form = parties.idp.respond(request, parties.disclosure(), parties.authentication(), parties.make_ids())
    assert (form.action, form.fields["RelayState"]) == (f"{LOANS}/acs", state)


@pytest.mark.attack(27, control=True)
def test_without_relay_state_none_comes_back(parties: Parties) -> None:
    """Control: without RelayState in the request, none is returned."""
    request = replace(parties.request, relay_state=None)
    form = parties.idp.respond(request, parties.disclosure(), parties.authentication(), parties.make_ids())
    assert set(form.fields) == {"SAMLResponse"}


@pytest.mark.attack(13)
def test_a_huge_request_is_refused(parties: Parties) -> None:
    """A large request is refused, because requests of unknown senders are stored."""
    listed = "".join(f'<samlp:IDPEntry ProviderID="https://idp{n}.example/{"x" * 60}"/>' for n in range(400))
    root = parties.authn_request(add(".", SCOPING % ("", f"<samlp:IDPList>{listed}</samlp:IDPList>")))
    assert cause(parties, parties.query(root, key=parties.service.key)) == "xml.size"


@pytest.mark.attack(13)
def test_a_request_of_many_nodes_is_refused(parties: Parties) -> None:
    """A request with many XML nodes is refused: it is small in octets but large in memory."""
    root = parties.authn_request(
        add(".", f'<samlp:Extensions><x xmlns="urn:x">{"<a/>" * 1000}</x></samlp:Extensions>', 1)
    )
    assert cause(parties, parties.query(root, key=parties.service.key)) == "xml.nodes"


@pytest.mark.attack(13, control=True)
@pytest.mark.profile(35)
def test_a_proxy_count_may_have_any_number_of_digits(parties: Parties) -> None:
    """A ProxyCount with thousands of digits does not raise an exception."""
    assert parties.ask(add(".", SCOPING % (f' ProxyCount="{"9" * 5000}"', ""))).proxy_count == 999_999


def _wrap_request(parties: Parties, place: str, name: str) -> bytes:
    """Hide a signed request in an evil one that carries its signature and wants another address."""
    genuine = parties.authn_request()
    signature.sign(genuine, parties.service.key)
    evil = deepcopy(genuine)
    evil.set("ForceAuthn", "true")
    evil.set("ID", name)
    found = evil.find(SIGNATURE)
    if place == "Extensions":
        holder = etree.Element("{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
        found.addnext(holder)
    else:
        holder = found.find(f"{{{DS}}}{place}")
        holder = etree.SubElement(found, f"{{{DS}}}{place}") if holder is None else holder
    around = etree.SubElement(holder, "{urn:x}x")
    around.append(genuine)
    return bytes(etree.tostring(evil))


@pytest.mark.attack(1, 24)
@pytest.mark.parametrize("name", ["_s1", "_evil"])
@pytest.mark.parametrize("place", ["Extensions", "Object", "KeyInfo"])
def test_a_wrapped_request_is_refused(parties: Parties, place: str, name: str) -> None:
    """Wrapping: a posted request that hides a signed one is refused."""
    fields = [*http_bindings.build_post_fields(_wrap_request(parties, place, name), "SAMLRequest", None).items()]
    with pytest.raises(MessageRefused, match=r"xml\.(duplicate_id|signature_place|object|reference)"):
        parties.idp.read_post(fields, NOW)


@pytest.mark.attack(6, 24)
@pytest.mark.parametrize("signer", ["hub", "direct", "stranger"])
def test_an_upstreams_key_signs_no_request(parties: Parties, signer: str) -> None:
    """A request that is signed with an upstream's key is refused: only keys of the service's own SPSSODescriptor count.

    Source: docs/reference/attacks.md#6.
    """
    key, root = getattr(parties, signer).key, parties.authn_request()
    assert cause(parties, parties.query(root, key=key)) == "xml.signature"
    signature.sign(root, key)
    with pytest.raises(MessageRefused, match=r"xml\.signature"):
        parties.idp.read_post(
            [*http_bindings.build_post_fields(etree.tostring(root), "SAMLRequest", None).items()], NOW
        )
