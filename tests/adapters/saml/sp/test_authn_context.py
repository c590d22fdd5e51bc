"""The class of an authentication: the institution's word as far as it is good for it, and unspecified beyond."""

from dataclasses import replace
from typing import Any

import pytest

from broker.core.entities import Assurance
from broker.core.login.transaction import Authentication
from tests.plugins.saml_parties import AU, KU, PASSWORD, Parties, drop, say

NSIS = "https://data.gov.dk/concept/core/nsis/loa/"
EIDAS = "http://eidas.europa.eu/LoA/"
MFA = "https://refeds.org/profile/mfa"
MICROSOFT_MFA = "http://schemas.microsoft.com/claims/multipleauthn"
UNSPECIFIED = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
CONTEXT = "saml:Assertion/saml:AuthnStatement/saml:AuthnContext"
CLASS = f"{CONTEXT}/saml:AuthnContextClassRef"
CAPS = list(Assurance)
LEAST = {
    f"{NSIS}Low": Assurance.LOW,
    f"{NSIS}Substantial": Assurance.SUBSTANTIAL,
    f"{NSIS}High": Assurance.HIGH,
    "3": Assurance.SUBSTANTIAL,
    f"{EIDAS}low": Assurance.LOW,
    f"{EIDAS}substantial": Assurance.SUBSTANTIAL,
    f"{EIDAS}high": Assurance.HIGH,
    MFA: Assurance.SUBSTANTIAL,
    MICROSOFT_MFA: Assurance.SUBSTANTIAL,
}


def receive_context(parties: Parties, cap: Assurance, change: Any) -> Authentication:
    """Give the authentication of a true Response by AU, which is good for ``cap``; KU is good for anything."""
    hub = parties.upstreams["wayf"]
    listed = tuple(replace(each, max_assurance=cap) if each.entity_id == AU else each for each in hub.institutions)
    role = replace(parties.sp, upstreams={"wayf": replace(hub, institutions=listed)})
    answer = replace(parties, sp=role).receive(parties.sign_response(parties.response(change))).answer
    assert isinstance(answer, Authentication)
    return answer


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("written", [*LEAST, PASSWORD])
def test_the_class_is_limited_by_the_institutions_maximum(parties: Parties, written: str, cap: Assurance) -> None:
    """One above the cap is unspecified, so that no service is satisfied by it; one within, or without level, stays."""
    kept = LEAST.get(written, Assurance.SELF_ASSERTED) <= cap
    found = receive_context(parties, cap, say(CLASS, written)).authn_context
    assert found == (written if kept else UNSPECIFIED)


@pytest.mark.parametrize("written", [f" {NSIS}High\n", f"\t{MFA} ", f"{NSIS}HIGH"])
def test_another_spelling_gets_no_further(parties: Parties, written: str) -> None:
    """Space around an anyURI means nothing to a service that reads by the schema."""
    assert receive_context(parties, Assurance.LOW, say(CLASS, written)).authn_context == UNSPECIFIED


def test_the_cap_is_the_answering_institutions(parties: Parties) -> None:
    """Not another's behind the same hub."""

    def change(root: Any) -> None:
        say(CLASS, f"{NSIS}High")(root)
        say(f"{CONTEXT}/saml:AuthenticatingAuthority", KU)(root)

    assert receive_context(parties, Assurance.LOW, change).authn_context == f"{NSIS}High"


def test_no_class_stays_none(parties: Parties) -> None:
    """The broker adds no class that the upstream did not state."""

    def change(root: Any) -> None:
        drop(CLASS)(root)
        parent = root.find(".//{*}AuthnContext")
        made = parent.makeelement(f"{parent.tag}DeclRef")
        made.text = "urn:x"
        parent.insert(0, made)

    assert receive_context(parties, Assurance.SELF_ASSERTED, change).authn_context is None
