"""Our IdP role: what it reads from a true request."""

from dataclasses import replace
from typing import Any

import pytest

from broker.core.entities import PERSISTENT, TRANSIENT
from broker.core.login.transaction import AuthnRequest
from tests.plugins.saml_parties import LOANS, OPEN, PRINT, Change, Parties, add, edit

ACS = "AssertionConsumerServiceURL"
INDEX = "AssertionConsumerServiceIndex"


def test_a_plain_request_is_read(parties: Parties) -> None:
    """Fields that a request leaves out are empty."""
    assert parties.ask() == AuthnRequest("_s1", "my-loans", LOANS, f"{LOANS}/acs", "state/1")


SCOPING = """<samlp:Scoping ProxyCount="2"><samlp:IDPList><samlp:IDPEntry ProviderID="urn:a"/>
<samlp:IDPEntry ProviderID="urn:b"/></samlp:IDPList><samlp:RequesterID>urn:r</samlp:RequesterID></samlp:Scoping>"""
CONTEXTS = """<samlp:RequestedAuthnContext Comparison="minimum">
<saml:AuthnContextClassRef>urn:c</saml:AuthnContextClassRef>
<saml:AuthnContextClassRef>urn:d</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"""
POLICY = '<samlp:NameIDPolicy Format="%s" SPNameQualifier="https://my-loans.example" AllowCreate="false"/>'
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


@pytest.mark.parametrize(
    ("change", "read"),
    [
        (edit(".", ForceAuthn="1", IsPassive="0"), {"force_authn": True}),
        (edit(".", ForceAuthn="false", IsPassive="true"), {"is_passive": True}),
        (edit(".", ForceAuthn="true", IsPassive="1"), {"force_authn": True, "is_passive": True}),
        (add(".", POLICY % PERSISTENT, 1), {"name_id_format": PERSISTENT}),
        (add(".", POLICY % TRANSIENT, 1), {"name_id_format": TRANSIENT}),
        (add(".", POLICY % UNSPECIFIED, 1), {}),
        (add(".", '<samlp:NameIDPolicy AllowCreate="true"/>', 1), {}),
        (add(".", CONTEXTS), {"authn_contexts": ("urn:c", "urn:d"), "comparison": "minimum"}),
        (add(".", SCOPING), {"idp_list": ("urn:a", "urn:b"), "requester_ids": ("urn:r",), "proxy_count": 2}),
        (edit(".", ProtocolBinding=None), {}),
        (edit(".", IssueInstant="2026-11-25T12:00:00.250Z"), {}),
    ],
)
@pytest.mark.profile(24, 26, 27)
def test_each_part_of_a_request_is_read(parties: Parties, change: Change, read: dict[str, Any]) -> None:
    """In every spelling that services use.

    Source: docs/reference/interop.md#requests.
    """
    assert parties.ask(change) == replace(parties.request, **read)


@pytest.mark.parametrize(
    ("change", "acs"),
    [
        (edit(".", **{ACS: f"{OPEN}/other"}), "other"),
        (edit(".", **{ACS: None, INDEX: "2"}), "other"),
        (edit(".", **{ACS: None}), "main"),
    ],
)
def test_the_acs_is_named_by_url_by_index_or_not(parties: Parties, change: Change, acs: str) -> None:
    """The ACS is always one of the service's metadata."""
    assert parties.ask(change, service=OPEN).acs == f"{OPEN}/{acs}"


def test_a_service_that_does_not_sign_is_read(parties: Parties) -> None:
    """A service whose metadata does not promise signed requests may send unsigned ones."""
    assert parties.ask(service=PRINT).service == "print"
