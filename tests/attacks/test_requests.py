"""What may be tried with a service's AuthnRequest (attacks.md rows 24 to 27)."""

from datetime import timedelta
from typing import Any

import pytest

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
from broker.saml.authn_requests import LIMITS, REQUEST_CHECKS
from tests.plugins.defences import REQUEST, closing
from tests.plugins.saml_parties import (
    BASE,
    IDP,
    LOANS,
    NOW,
    OPEN,
    SSO,
    Change,
    Parties,
    add,
    edit,
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

LISTED = "<samlp:IDPList>%s</samlp:IDPList>"

REFUSED: list[tuple[str, Change, Status]] = [
    ("binding", edit(".", ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"), REQUEST_UNSUPPORTED),
    ("sizes", add(".", SCOPING % ("", LISTED % ('<samlp:IDPEntry ProviderID="urn:x"/>' * 51))), REQUEST_UNSUPPORTED),
    ("sizes", add(".", SCOPING % ("", REQUESTER % ("urn:" + "x" * 253))), REQUEST_UNSUPPORTED),
    (
        "sizes",
        add(".", SCOPING % ("", LISTED % f'<samlp:IDPEntry ProviderID="urn:{"x" * 253}"/>')),
        REQUEST_UNSUPPORTED,
    ),
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


@pytest.mark.parametrize("name", closing(HOSTILE, REQUEST))
def test_a_request_wrong_in_one_thing_is_refused_for_it(parties: Parties, name: str) -> None:
    """Nobody is answered: the person sees a page of ours."""
    assert cause(parties, sent(parties, name)) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_else_would_have_refused_it(parties: Parties, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With that one check taken out the request is read, so each check is needed."""
    monkeypatch.setitem(REQUEST_CHECKS, name, lambda _: False)
    assert parties.idp.read_redirect(sent(parties, name), NOW).service == "my-loans"


@pytest.mark.attack(26)
@pytest.mark.parametrize(("name", "change", "status"), REFUSED)
@pytest.mark.profile(33, 35, 40, 42)
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


@pytest.mark.attack(25)
@pytest.mark.parametrize("url", ACS_VARIANTS)
@pytest.mark.profile(25)
def test_only_a_registered_acs_is_answered(parties: Parties, url: str) -> None:
    """Prefix, case, port, user, scheme, another service's: an address is the same only if it is written the same."""
    query = parties.query(parties.authn_request(edit(".", **{ACS: url})), key=parties.service.key)
    assert cause(parties, query) == "acs"


@pytest.mark.attack(25)
@pytest.mark.parametrize("index", ["0", "3", "65535"])
@pytest.mark.profile(25)
def test_only_a_registered_index_is_answered(parties: Parties, index: str) -> None:
    """An index that metadata does not have names nothing, not the default."""
    change = edit(".", **{ACS: None, "AssertionConsumerServiceIndex": index})
    query = parties.query(parties.authn_request(change, service=OPEN), key=None)
    assert cause(parties, query) == "acs"
