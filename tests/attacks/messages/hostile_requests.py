"""AuthnRequests with one error each, or with a demand that the broker does not support."""

from datetime import timedelta
from typing import Any

from broker.core.entities import PERSISTENT, TRANSIENT
from broker.core.errors import (
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    PROXY_COUNT_EXCEEDED,
    REQUEST_DENIED,
    REQUEST_UNSUPPORTED,
    UNSUPPORTED_BINDING,
    Status,
)
from tests.plugins.saml_parties import BASE, IDP, LOANS, NOW, OPEN, SSO, Change, add, edit, stamp

ACS = "AssertionConsumerServiceURL"
SCOPING = "<samlp:Scoping%s>%s</samlp:Scoping>"
POLICY = '<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:%s"/>'
REQUESTER = "<samlp:RequesterID>%s</samlp:RequesterID>"
CLASSES = "<samlp:RequestedAuthnContext>%s</samlp:RequestedAuthnContext>"
CLASS = "<saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef>"
DECLARED = (
    "<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>"
    "</samlp:RequestedAuthnContext>"
)
CONFIRMATION = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'


def add_subject(*parts: str) -> Change:
    """Return a change that adds a Subject with these parts."""
    return add(".", f"<saml:Subject>{''.join(parts)}</saml:Subject>", 1)


def change_nothing(_root: Any) -> None:
    """Return the request as it is."""


HOSTILE: dict[str, Change] = {
    "unsigned": change_nothing,  # sent without the signature
    "version": edit(".", Version="2.1"),
    "destination": edit(".", Destination=SSO + "/"),
    "zone": edit(".", IssueInstant="2026-11-25T12:00:00"),
    "issued_later": edit(".", IssueInstant=stamp(NOW + timedelta(hours=1))),
    "issued_long_ago": edit(".", IssueInstant=stamp(NOW - timedelta(hours=1))),
    "acs_twice": edit(".", AssertionConsumerServiceIndex="1"),
    "acs": edit(".", **{ACS: "https://evil.example/acs"}),
}

ACS_VARIANTS = [
    f"{OPEN}/acs",  # the ACS of another service
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
    ("binding", edit(".", ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"), UNSUPPORTED_BINDING),
    ("binding", edit(".", ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"), UNSUPPORTED_BINDING),
    ("sizes", add(".", SCOPING % ("", LISTED % ('<samlp:IDPEntry ProviderID="urn:x"/>' * 51))), REQUEST_UNSUPPORTED),
    ("sizes", add(".", SCOPING % ("", REQUESTER % ("urn:" + "x" * 253))), REQUEST_UNSUPPORTED),
    ("sizes", add(".", CLASSES % (CLASS * 51)), REQUEST_UNSUPPORTED),
    (
        "sizes",
        add(".", SCOPING % ("", LISTED % f'<samlp:IDPEntry ProviderID="urn:{"x" * 253}"/>')),
        REQUEST_UNSUPPORTED,
    ),
    ("subject", add_subject(f'<saml:NameID Format="{PERSISTENT}">of-ours</saml:NameID>'), REQUEST_UNSUPPORTED),
    ("subject", add_subject(f'<saml:NameID Format="{TRANSIENT}">of-ours</saml:NameID>'), REQUEST_UNSUPPORTED),
    ("subject", add_subject("<saml:NameID>a</saml:NameID>" + CONFIRMATION), REQUEST_UNSUPPORTED),
    ("subject", add_subject(CONFIRMATION), REQUEST_UNSUPPORTED),
    ("name_id", add(".", POLICY % "1.1:nameid-format:X509SubjectName", 1), INVALID_NAME_ID_POLICY),
    ("name_id", add(".", POLICY % "2.0:nameid-format:encrypted", 1), INVALID_NAME_ID_POLICY),
    ("name_id", add(".", f'<samlp:NameIDPolicy SPNameQualifier="{OPEN}"/>', 1), INVALID_NAME_ID_POLICY),
    ("declarations", add(".", DECLARED), NO_AUTHN_CONTEXT),
    ("proxies", add(".", SCOPING % (' ProxyCount="0"', "")), PROXY_COUNT_EXCEEDED),
    ("proxies", add(".", SCOPING % (' ProxyCount="-00"', "")), PROXY_COUNT_EXCEEDED),
    ("proxies", add(".", SCOPING % ("", (REQUESTER % "urn:x") * 11)), PROXY_COUNT_EXCEEDED),
    ("loop", add(".", SCOPING % ("", REQUESTER % IDP)), REQUEST_DENIED),
    ("loop", add(".", SCOPING % ("", REQUESTER % f"{BASE}/saml/sp/wayf/metadata")), REQUEST_DENIED),
]
