"""Attack: forged Responses, or genuine ones of a party that may not speak for this institution or request.

Source: docs/reference/attacks.md#5, #6, #16, #18, #22, #23.
"""

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import signature
from broker.core.errors import MessageRefused
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.login.transaction import Authentication, UpstreamRefusal
from tests.plugins.saml_messages import Forge
from tests.plugins.saml_parties import AU, EPPN, HUB, KU, Change, Parties, add, drop, edit, say

SUBJECT = "saml:Assertion/saml:Subject"
CONFIRMATION = f"{SUBJECT}/saml:SubjectConfirmation"
CONFIRMED = f"{CONFIRMATION}/saml:SubjectConfirmationData"
STATEMENT = "saml:Assertion/saml:AuthnStatement"
AUTHORITY = f"{STATEMENT}/saml:AuthnContext/saml:AuthenticatingAuthority"
CODE = "samlp:Status/samlp:StatusCode"
_BEARER = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>'


def cause(parties: Parties, xml: bytes, upstream: str = "wayf", **more: Any) -> str:
    """Return the cause of a refusal."""
    with pytest.raises(MessageRefused) as caught:
        parties.receive(xml, upstream, **more)
    return caught.value.cause.removeprefix("response.")


@pytest.mark.attack(6, 18)
def test_another_upstreams_answer_is_refused(parties: Parties) -> None:
    """WAYF cannot answer for an upstream that was asked directly, whatever the Response says.

    Source: docs/reference/attacks.md#18.
    """
    forged = parties.response(upstream="kb")
    assert cause(parties, parties.sign_response(forged, parties.hub, both=True), "kb") == "xml.signature"


@pytest.mark.attack(18)
@pytest.mark.profile(38)
def test_an_upstream_that_is_no_hub_speaks_for_itself_only(parties: Parties) -> None:
    """An upstream that is not a hub cannot name another institution as AuthenticatingAuthority."""
    other = add(f"{STATEMENT}/saml:AuthnContext", f"<saml:AuthenticatingAuthority>{AU}</saml:AuthenticatingAuthority>")
    xml = parties.sign_response(parties.response(other, upstream="kb"), parties.direct)
    assert cause(parties, xml, "kb") == "institution_unknown"


@pytest.mark.attack(6)
@pytest.mark.parametrize("whole", [False, True])
def test_a_services_key_signs_no_response(parties: Parties, whole: bool) -> None:
    """Only keys of the upstream's IDPSSODescriptor count, and not those of a service.

    Source: docs/reference/attacks.md#6.
    """
    xml = parties.sign_response(parties.response(), parties.service, whole=whole)
    assert cause(parties, xml) == "xml.signature"


@pytest.mark.attack(5)
@pytest.mark.profile(17)
def test_an_unsigned_response_is_refused(parties: Parties) -> None:
    """A Response without any signature is refused (docs/reference/attacks.md#5)."""
    assert cause(parties, etree.tostring(parties.response())) == "unsigned"


@pytest.mark.attack(5)
@pytest.mark.profile(17)
def test_one_good_signature_does_not_excuse_a_bad_one(parties: Parties) -> None:
    """If both Response and assertion are signed, both signatures must verify."""
    root = etree.fromstring(parties.sign_response(parties.response()))
    assert cause(parties, parties.sign_response(root, parties.stranger, whole=True)) == "xml.signature"
    inner = etree.fromstring(parties.sign_response(parties.response(), parties.stranger))
    assert cause(parties, parties.sign_response(inner, whole=True)) == "xml.signature"


@pytest.mark.attack(23)
@pytest.mark.profile(17)
def test_unsigned_ciphertext_is_refused(parties: Parties) -> None:
    """Unsigned ciphertext is refused: anybody can encrypt to the broker (docs/reference/attacks.md#23)."""
    assert cause(parties, etree.tostring(parties.encrypt_response(parties.response(), sign=False))) == "unsigned"


@pytest.mark.attack(23, control=True)
def test_signed_ciphertext_covers_what_is_within(parties: Parties) -> None:
    """Control: a signature over the Response covers the ciphertext, and so the decrypted assertion."""
    xml = parties.sign_response(parties.encrypt_response(parties.response(), sign=False), whole=True)
    assert isinstance(parties.receive(xml).answer, Authentication)


@pytest.mark.attack(23)
@pytest.mark.profile(17)
def test_nemlogin_signs_the_assertion_itself(parties: Parties) -> None:
    """NemLog-in must sign the assertion itself. A signature over the Response is not enough.

    Source: docs/reference/nemlog-in.md#response.
    """
    sealed = parties.encrypt_response(parties.response(upstream="eid"), sign=False)
    assert cause(parties, parties.sign_response(sealed, parties.direct, whole=True), "eid") == "unsigned"
    good = parties.encrypt_response(parties.response(upstream="eid"), parties.direct)
    assert isinstance(parties.receive(etree.tostring(good), "eid").answer, Authentication)


@pytest.mark.attack(23)
@pytest.mark.profile(16)
def test_the_encrypted_assertion_passes_the_same_checks(parties: Parties) -> None:
    """A decrypted assertion passes the same checks as one that was not encrypted."""
    root = parties.encrypt_response(parties.response(edit(CONFIRMED, Recipient="https://elsewhere.example")))
    assert cause(parties, etree.tostring(root)) == "recipient"


@pytest.mark.attack(5)
@pytest.mark.parametrize(
    ("path", "value"),
    [("saml:Assertion/saml:AttributeStatement/saml:Attribute[1]/saml:AttributeValue", "boss@au.dk"), (AUTHORITY, KU)],
)
def test_a_changed_signed_value_is_refused(parties: Parties, path: str, value: str) -> None:
    """A value or institution that is changed after signing is refused."""
    root = etree.fromstring(parties.sign_response(parties.response()))
    say(path, value)(root)
    assert cause(parties, etree.tostring(root)) == "xml.signature"


@pytest.mark.attack(5)
def test_a_response_without_an_assertion_authenticates_nobody(parties: Parties) -> None:
    """A Response with status Success but no assertion is refused."""
    assert (
        cause(parties, parties.sign_response(parties.response(drop("saml:Assertion")), whole=True))
        == "assertion_missing"
    )


@pytest.mark.attack(5)
def test_an_unsigned_refusal_cannot_bring_an_assertion(parties: Parties) -> None:
    """Error Responses may be unsigned, so an assertion in one is refused."""
    change = edit(CODE, Value="urn:oasis:names:tc:SAML:2.0:status:Responder")
    assert cause(parties, etree.tostring(parties.response(change))) == "assertion_of_refusal"


@pytest.mark.attack(16)
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("destination", edit(".", Destination="https://broker.example/saml/sp/nemid/acs")),
        ("in_response_to", edit(".", InResponseTo="_q2")),
        ("issuer", say("saml:Issuer", "https://idp.kb.example")),
        ("issued_long_ago", edit(".", IssueInstant="2026-11-25T11:00:00Z")),
    ],
)
def test_a_refusal_must_answer_our_request_too(parties: Parties, name: str, change: Change) -> None:
    """A refusal that answers another request does not end this login (docs/reference/attacks.md#16)."""
    refusal = (drop("saml:Assertion"), edit(CODE, Value="urn:oasis:names:tc:SAML:2.0:status:Responder"))
    assert isinstance(parties.receive(etree.tostring(parties.response(*refusal))).answer, UpstreamRefusal)
    assert cause(parties, etree.tostring(parties.response(*refusal, change))) == name


@pytest.mark.attack(22)
def test_one_name_twice_is_one_attribute_with_both_values(parties: Parties) -> None:
    """Two Attributes with one name are read together, so that no reader takes one value and another reader the other.

    Source: docs/reference/attacks.md#22.
    """
    value = "<saml:AttributeValue>x@ku.dk</saml:AttributeValue>"
    again = f'<saml:Attribute Name="{EPPN}" FriendlyName="cn">{value}</saml:Attribute>'
    xml = parties.sign_response(parties.response(add("saml:Assertion/saml:AttributeStatement", again)))
    answer = parties.receive(xml).answer
    assert isinstance(answer, Authentication)
    assert [each for each in answer.attributes if each.name == EPPN] == [WireAttribute(EPPN, ("au1@au.dk", "x@ku.dk"))]


@pytest.mark.attack(18)
@pytest.mark.profile(18)
def test_an_answer_is_for_one_request_of_one_upstream(parties: Parties) -> None:
    """Two upstreams at the hub share its key, but a Response to one is refused for a request to the other.

    Source: docs/reference/attacks.md#18.
    """
    xml = parties.sign_response(parties.response(upstream="nemid"))
    assert isinstance(parties.receive(xml, "nemid").answer, Authentication)
    assert cause(parties, xml, "wayf") == "destination"
    moved = parties.response(edit(".", Destination=parties.acs()), upstream="nemid")
    assert cause(parties, parties.sign_response(moved), "wayf") == "recipient"


@pytest.mark.attack(18, control=True)
@pytest.mark.parametrize("listed", [(AU,), (HUB,), ("urn:unknown", AU), ()])
def test_the_services_list_lets_its_institutions_through(parties: Parties, listed: tuple[str, ...]) -> None:
    """Control: an institution in the service's IDPList is accepted by each of its names. Without a list all are."""
    received = parties.receive(parties.sign_response(parties.response()), idp_list=listed)
    assert isinstance(received.answer, Authentication)


@pytest.mark.attack(18)
def test_a_restricted_upstream_accepts_no_other_institution(parties: Parties) -> None:
    """The setting ``only`` restricts the answer too, not just the request."""
    narrowed = replace(parties.upstreams["wayf"], only=(KU,))
    role = replace(parties.sp, upstreams={**parties.upstreams, "wayf": narrowed})
    with pytest.raises(MessageRefused, match=r"response\.institution_not_asked"):
        replace(parties, sp=role).receive(parties.sign_response(parties.response()))


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    ("upstream", "whole", "passes"),
    [("wayf", True, False), ("kb", True, True), ("kb", False, False), ("eid", True, True), ("eid", False, False)],
)
@pytest.mark.profile(11)
def test_cbc_is_decrypted_for_configured_and_signed_upstreams_only(
    parties: Parties, forge: Forge, upstream: str, whole: bool, passes: bool
) -> None:
    """CBC ciphertext can be changed unnoticed.

    It is accepted only in a signed Response of an upstream configured for it.

    Source: docs/reference/attacks.md#23.
    """
    root = etree.fromstring(parties.sign_response(parties.response(upstream=upstream), parties.signer(upstream)))
    assertion = root.find("{*}Assertion")
    assert assertion is not None
    us = replace(forge.broker, certificate=parties.ring.sp.encryption_certificate)
    plain = etree.tostring(assertion, with_tail=False)
    root.replace(assertion, forge.encrypt(plain, content="http://www.w3.org/2001/04/xmlenc#aes256-cbc", to=us))
    if whole:
        signature.sign(root, parties.signer(upstream).key)
    if passes:
        assert isinstance(parties.receive(etree.tostring(root), upstream).answer, Authentication)
    else:
        assert cause(parties, etree.tostring(root), upstream) == "xml.content_method"
