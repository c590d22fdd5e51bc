"""What may be tried with a service's AuthnRequest (attacks.md rows 24 to 27)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from lxml import etree

from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    PROXY_COUNT_EXCEEDED,
    REQUEST_DENIED,
    REQUEST_UNSUPPORTED,
    MessageRefused,
    RequestRefused,
    Status,
)
from broker.core.transaction import AuthnRequest
from broker.saml import bindings, signature
from broker.saml.authn_requests import LIMITS, REQUEST_CHECKS
from tests.plugins.saml_parties import (
    BASE,
    IDP,
    LOANS,
    NOW,
    OPEN,
    PRINT,
    SSO,
    Change,
    Parties,
    add,
    drop,
    edit,
    say,
    stamp,
)

ACS = "AssertionConsumerServiceURL"
SCOPING = "<samlp:Scoping%s>%s</samlp:Scoping>"
POLICY = '<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:%s"/>'
REQUESTER = "<samlp:RequesterID>%s</samlp:RequesterID>"
DECLARED = (
    "<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>"
    "</samlp:RequestedAuthnContext>"
)


def nothing(_root: Any) -> None:
    """Change nothing."""


def both(*changes: Change) -> Change:
    """Give several changes as one."""

    def change(root: Any) -> None:
        for each in changes:
            each(root)

    return change


HOSTILE: dict[str, Change] = {
    "unsigned": nothing,  # sent without the signature
    "version": edit(".", Version="2.1"),
    "destination": edit(".", Destination=SSO + "/"),
    "zone": edit(".", IssueInstant="2026-11-25T12:00:00"),
    "issued_later": edit(".", IssueInstant=stamp(NOW + timedelta(hours=1))),
    "issued_long_ago": edit(".", IssueInstant=stamp(NOW - timedelta(hours=1))),
    "acs_twice": edit(".", AssertionConsumerServiceIndex="1"),
    "acs": edit(".", **{ACS: "https://evil.example/acs"}),
}

ACS_VARIANTS = [
    f"{OPEN}/acs",  # another service's
    f"{LOANS}/acs/",
    f"{LOANS}/acs?x=1",
    f"{LOANS}/acs#x",
    f"{LOANS}/ACS",
    f"{LOANS}/ac",
    f"{LOANS}:443/acs",
    "https://my-loans.example@evil.example/acs",
    "https://my-loans.example.evil.example/acs",
    "http://my-loans.example/acs",
    "javascript:alert(1)",
    "//my-loans.example/acs",
    "",
    " " + f"{LOANS}/acs",
]

REFUSED: list[tuple[str, Change, Status]] = [
    ("binding", edit(".", ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"), REQUEST_UNSUPPORTED),
    ("subject", add(".", "<saml:Subject><saml:NameID>somebody</saml:NameID></saml:Subject>", 1), REQUEST_UNSUPPORTED),
    ("name_id", add(".", POLICY % "1.1:nameid-format:emailAddress", 1), INVALID_NAME_ID_POLICY),
    ("name_id", add(".", POLICY % "2.0:nameid-format:encrypted", 1), INVALID_NAME_ID_POLICY),
    ("name_id", add(".", f'<samlp:NameIDPolicy SPNameQualifier="{OPEN}"/>', 1), INVALID_NAME_ID_POLICY),
    ("declarations", add(".", DECLARED), NO_AUTHN_CONTEXT),
    ("proxies", add(".", SCOPING % (' ProxyCount="0"', "")), PROXY_COUNT_EXCEEDED),
    ("proxies", add(".", SCOPING % (' ProxyCount="-00"', "")), PROXY_COUNT_EXCEEDED),
    ("proxies", add(".", SCOPING % ("", (REQUESTER % "urn:x") * 11)), PROXY_COUNT_EXCEEDED),
    ("loop", add(".", SCOPING % ("", REQUESTER % IDP)), REQUEST_DENIED),
    ("loop", add(".", SCOPING % ("", REQUESTER % f"{BASE}/saml/sp/wayf/metadata")), REQUEST_DENIED),
]


def cause(parties: Parties, query: str, **more: Any) -> str:
    """Give why a request is refused with a page of ours."""
    with pytest.raises(MessageRefused) as caught:
        parties.idp.read_redirect(query, more.get("now", NOW))
    return caught.value.cause.removeprefix("request.")


def sent(parties: Parties, name: str) -> str:
    """Give the query of a hostile request; all but the unsigned one are signed by the service itself."""
    key = None if name == "unsigned" else parties.service.key
    return parties.query(parties.authn_request(HOSTILE[name]), key=key)


def test_every_check_has_its_request() -> None:
    """No check stands in a table without a request that only it refuses."""
    assert set(REQUEST_CHECKS) == set(HOSTILE)
    assert set(LIMITS) == {name for name, _, _ in REFUSED}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_request_wrong_in_one_thing_is_refused_for_it(parties: Parties, name: str) -> None:
    """Nobody is answered: the person sees a page of ours."""
    assert cause(parties, sent(parties, name)) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_else_would_have_refused_it(parties: Parties, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With that one check taken out the request is read, so each check is needed."""
    monkeypatch.setitem(REQUEST_CHECKS, name, lambda _: False)
    assert parties.idp.read_redirect(sent(parties, name), NOW).service == "my-loans"


@pytest.mark.parametrize(("name", "change", "status"), REFUSED)
def test_what_cannot_be_served_is_told_the_service(
    parties: Parties, name: str, change: Change, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status goes back to the registered ACS, the request being in the error; without the limit it is read."""
    with pytest.raises(RequestRefused) as caught:
        parties.ask(change)
    request = caught.value.request
    assert caught.value.refusal == status
    assert isinstance(request, AuthnRequest)
    assert (request.acs, request.relay_state) == (f"{LOANS}/acs", "state/1")
    monkeypatch.setitem(LIMITS, name, lambda _: None)
    assert parties.ask(change).id == "_s1"


@pytest.mark.parametrize("url", ACS_VARIANTS)
def test_only_a_registered_acs_is_answered(parties: Parties, url: str) -> None:
    """Prefix, case, port, user, scheme, another service's: an address is the same only if it is written the same."""
    query = parties.query(parties.authn_request(edit(".", **{ACS: url})), key=parties.service.key)
    assert cause(parties, query) == "acs"


@pytest.mark.parametrize("index", ["0", "3", "65535"])
def test_only_a_registered_index_is_answered(parties: Parties, index: str) -> None:
    """An index that metadata does not have names nothing, not the default."""
    change = edit(".", **{ACS: None, "AssertionConsumerServiceIndex": index})
    query = parties.query(parties.authn_request(change, service=OPEN), key=None)
    assert cause(parties, query) == "acs"


@pytest.mark.parametrize(
    "issuer", ["https://unknown.example", OPEN.upper(), LOANS + " ", "https://hub.example", IDP, ""]
)
def test_an_unknown_issuer_is_nobody(parties: Parties, issuer: str) -> None:
    """Upstreams and we ourselves are no services."""
    root = parties.authn_request(say("saml:Issuer", issuer))
    assert cause(parties, parties.query(root, key=parties.service.key)) == "unknown_service"


@pytest.mark.parametrize(
    "change",
    [drop("saml:Issuer"), edit("saml:Issuer", Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")],
)
def test_an_issuer_is_an_entity(parties: Parties, change: Change) -> None:
    """Without an issuer, or with one of another format, nobody has asked."""
    assert cause(parties, parties.query(parties.authn_request(change), key=parties.service.key)) == "unknown_service"


def test_another_services_signature_is_none(parties: Parties) -> None:
    """Each service signs with the keys of its own metadata (row 24)."""
    root = parties.authn_request()
    assert cause(parties, parties.query(root, key=parties.stranger.key)) == "gate.signature"


def test_a_signature_that_cannot_be_verified_is_refused(parties: Parties) -> None:
    """A service need not sign; but what it signs must be its own."""
    root = parties.authn_request(service=PRINT)
    assert parties.idp.read_redirect(parties.query(root, key=None), NOW).service == "print"
    assert parties.idp.read_redirect(parties.query(root, key=parties.service.key), NOW).service == "print"
    assert cause(parties, parties.query(root, key=parties.stranger.key)) == "gate.signature"


@pytest.mark.parametrize("name", ["RelayState", "SAMLRequest"])
def test_nothing_signed_can_be_exchanged(parties: Parties, name: str) -> None:
    """RelayState and message are under the signature, as they stand in the query (CVE-2025-27773)."""
    query = parties.query(parties.authn_request(), key=parties.service.key)
    other = parties.query(parties.authn_request(edit(".", ForceAuthn="true")), key=None, relay_state="other")
    swapped = dict(part.split("=", 1) for part in other.split("&"))[name]
    changed = "&".join(f"{name}={swapped}" if part.startswith(name + "=") else part for part in query.split("&"))
    assert cause(parties, changed) == "gate.signature"


@pytest.mark.parametrize(
    "method", ["http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "none", ""]
)
def test_an_algorithm_outside_the_list_is_refused(parties: Parties, method: str) -> None:
    """SHA-1, HMAC with the public key as its secret, and none."""
    query = parties.query(parties.authn_request(), key=parties.service.key)
    start, _, rest = query.partition("SigAlg=")
    changed = f"{start}SigAlg={quote(method, safe='')}&{rest.partition('&')[2]}"
    assert cause(parties, changed) == "gate.signature_method"


def test_a_signed_request_says_for_whom_it_is(parties: Parties) -> None:
    """Signed without Destination it could be brought here from elsewhere; unsigned it is no more than a link."""
    change = edit(".", Destination=None)
    assert cause(parties, parties.query(parties.authn_request(change), key=parties.service.key)) == "destination"
    assert parties.ask(change, service=PRINT).service == "print"


@pytest.mark.parametrize(
    ("seconds", "name"), [(-180, None), (-181, "issued_later"), (479, None), (480, "issued_long_ago")]
)
def test_a_request_is_fresh(parties: Parties, seconds: int, name: str | None) -> None:
    """Five minutes and the skew: a form may stand a while, a bookmark may not (row 26)."""
    now = NOW + timedelta(seconds=seconds)
    if name is None:
        assert parties.ask(now=now).id == "_s1"
    else:
        assert cause(parties, parties.query(parties.authn_request(), key=parties.service.key), now=now) == name


def test_a_post_request_is_verified_too(parties: Parties) -> None:
    """By POST the signature is in the message; stripped, by a stranger, or twice the field, it is refused."""

    def post(root: Any, *more: tuple[str, str]) -> AuthnRequest:
        fields = [*bindings.post_fields(etree.tostring(root), "SAMLRequest", "s").items(), *more]
        return parties.idp.read_post(fields, NOW)

    def signed(key: signature.SigningKey) -> Any:
        root = parties.authn_request()
        signature.sign(root, key)
        return root

    assert post(signed(parties.service.key)).relay_state == "s"
    changed = signed(parties.service.key)
    changed.set("ForceAuthn", "true")
    for root, name in [
        (parties.authn_request(), "request.unsigned"),
        (signed(parties.stranger.key), "gate.signature"),
        (changed, "gate.signature"),
    ]:
        with pytest.raises(MessageRefused, match=name):
            post(root)
    for extra in [("SAMLRequest", "x"), ("RelayState", "x")]:
        with pytest.raises(MessageRefused, match=r"request\.fields"):
            post(signed(parties.service.key), extra)
    with pytest.raises(MessageRefused, match=r"request\.fields"):
        parties.idp.read_post([("RelayState", "s")], NOW)


@pytest.mark.parametrize(
    "state", ["https://evil.example/?a=1&b=2", '"><script>alert(1)</script>', "ss:mem:ab", " ", ""]
)
def test_relay_state_comes_back_to_the_letter(parties: Parties, state: str) -> None:
    """Opaque to us, it goes to the service and nowhere else, and the page escapes it (row 27)."""
    request = parties.idp.read_redirect(
        parties.query(parties.authn_request(), key=parties.service.key, relay_state=state), NOW
    )
    form = parties.idp.respond(request, parties.disclosure(), parties.authentication(), parties.issued())
    assert (form.action, form.fields["RelayState"]) == (f"{LOANS}/acs", state)


def test_without_relay_state_none_comes_back(parties: Parties) -> None:
    """None was sent, so none is made up."""
    request = replace(parties.request, relay_state=None)
    form = parties.idp.respond(request, parties.disclosure(), parties.authentication(), parties.issued())
    assert set(form.fields) == {"SAMLResponse"}


def test_a_huge_request_is_refused(parties: Parties) -> None:
    """All of a request is stored before anyone is known, so it must be small."""
    listed = "".join(f'<samlp:IDPEntry ProviderID="https://idp{n}.example/{"x" * 60}"/>' for n in range(400))
    root = parties.authn_request(add(".", SCOPING % ("", f"<samlp:IDPList>{listed}</samlp:IDPList>")))
    assert cause(parties, parties.query(root, key=parties.service.key)) == "gate.size"


def test_a_proxy_count_may_have_any_number_of_digits(parties: Parties) -> None:
    """The schema does not bound it, and a number too long to be converted is no reason to fail."""
    assert parties.ask(add(".", SCOPING % (f' ProxyCount="{"9" * 5000}"', ""))).proxy_count == 999_999
