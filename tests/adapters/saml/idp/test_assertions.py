"""The Responses of our IdP role: exactly the disclosed content, for the right service, and nothing else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import safe_parser
from broker.adapters.saml.xml_security.xml_names import RESPONSE, SIGNATURE
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import EMAIL, PERSISTENT, TRANSIENT
from broker.core.errors import (
    AUTHN_FAILED,
    INVALID_NAME_ID_POLICY,
    NO_PASSIVE,
    PROXY_COUNT_EXCEEDED,
    BrokerError,
    RequestRefused,
    Status,
)
from broker.core.identity.canonical_attributes import AttributeMap, MapRow
from broker.core.login.transaction import AuthnRequest
from tests.plugins.saml_parties import CN, IDP, LOANS, NOW, OPEN, WORDS, Parties, stamp

CPR = "0101801234"
SPACES = {"samlp": "urn:oasis:names:tc:SAML:2.0:protocol", "saml": "urn:oasis:names:tc:SAML:2.0:assertion"}


def values(root: Any, path: str) -> list[str]:
    """Give attribute values or texts at a path."""
    return [str(each) for each in root.xpath(path, namespaces=SPACES)]


def respond(parties: Parties, disclosure: Disclosure | None = None, **changes: Any) -> tuple[Any, Any]:
    """Answer the usual request, and give Response and Assertion as the service verifies and opens them."""
    request = changes.pop("request", parties.request)
    form = parties.idp.respond(
        request, disclosure or parties.disclosure(), parties.authentication(**changes), parties.make_ids()
    )
    assert form.action == request.acs
    return parties.open_response(form)


def make_request_of_open(parties: Parties) -> AuthnRequest:
    """Give a request of the service without an encryption key."""
    return replace(parties.request, service="open", entity_id=OPEN, acs=f"{OPEN}/acs")


def test_the_response_is_addressed_to_the_request(parties: Parties) -> None:
    """Destination, InResponseTo, Issuer, success and nothing more."""
    root, _ = respond(parties)
    assert dict(root.attrib) == {
        "ID": "_resp1",
        "Version": "2.0",
        "IssueInstant": stamp(NOW),
        "Destination": f"{LOANS}/acs",
        "InResponseTo": "_s1",
    }
    assert values(root, "saml:Issuer/text()") == [IDP]
    assert values(root, "samlp:Status//@Value") == ["urn:oasis:names:tc:SAML:2.0:status:Success"]
    assert values(root, "saml:Assertion") == []


def test_a_targeted_id_is_written_as_a_name_id(parties: Parties) -> None:
    """Mod_shib drops an eduPersonTargetedID that is a text; its NameID is ours for that service.

    Source: docs/reference/interop.md#targeted-id.
    """
    row = MapRow("urn:oid:1.3.6.1.4.1.5923.1.1.1.10", "eduPersonTargetedID")
    idp = replace(parties.idp, maps={"library": AttributeMap("library", (row,), outgoing=True)})
    disclosure = parties.disclosure(Item("eduPersonTargetedID", ("WAYF-DK-1",), WORDS))
    form = idp.respond(parties.request, disclosure, parties.authentication(), parties.make_ids())
    _, assertion = parties.open_response(form)
    (value,) = assertion.iterfind(".//{*}AttributeValue")
    (name_id,) = value
    assert (name_id.tag, name_id.text, dict(value.attrib)) == (f"{{{SPACES['saml']}}}NameID", "WAYF-DK-1", {})
    assert dict(name_id.attrib) == {"Format": PERSISTENT, "NameQualifier": IDP, "SPNameQualifier": LOANS}


@pytest.mark.profile(41)
def test_the_assertion_is_for_this_service_only(parties: Parties) -> None:
    """Audience, Recipient, times and confirmation (saml-profiles 4.1.4.2)."""
    _, assertion = respond(parties)
    end = stamp(NOW + timedelta(minutes=5))
    assert (assertion.get("ID"), assertion.get("IssueInstant")) == ("_assertion1", stamp(NOW))
    assert values(assertion, "saml:Issuer/text()") == [IDP]
    assert values(assertion, "saml:Conditions/saml:AudienceRestriction/saml:Audience/text()") == [LOANS]
    assert values(assertion, "saml:Conditions/@*") == [stamp(NOW - timedelta(seconds=60)), end]
    assert values(assertion, "saml:Subject/saml:SubjectConfirmation/@Method") == [
        "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    ]
    (confirmation,) = assertion.xpath("//saml:SubjectConfirmationData", namespaces=SPACES)
    assert dict(confirmation.attrib) == {"NotOnOrAfter": end, "Recipient": f"{LOANS}/acs", "InResponseTo": "_s1"}


def test_a_persistent_name_is_qualified(parties: Parties) -> None:
    """Pairwise: ours, for this service (core 8.3.7)."""
    (name,) = respond(parties)[1].xpath("saml:Subject/saml:NameID", namespaces=SPACES)
    assert (name.text, dict(name.attrib)) == (
        "pairwise-1",
        {"Format": PERSISTENT, "NameQualifier": IDP, "SPNameQualifier": LOANS},
    )


def test_a_mail_address_as_name_is_the_nameid_alone(parties: Parties) -> None:
    """Without qualifiers, which would make another name of it; among the attributes it does not stand."""
    items = (Item("name_id", ("asta@au.dk",), WORDS), Item("cn", ("Asta Ravn",), WORDS))
    disclosure = replace(parties.disclosure(*items), name_id_format=EMAIL)
    request = replace(parties.request, name_id_format=EMAIL)
    issued = replace(parties.make_ids(), name_id="asta@au.dk")
    form = parties.idp.respond(request, disclosure, parties.authentication(), issued)
    _, assertion = parties.open_response(form)
    (name,) = assertion.xpath("saml:Subject/saml:NameID", namespaces=SPACES)
    assert (name.text, dict(name.attrib)) == ("asta@au.dk", {"Format": EMAIL})
    assert values(assertion, "//saml:Attribute/@FriendlyName") == ["cn"]


def test_without_a_class_none_is_invented(parties: Parties) -> None:
    """An upstream that names no class is passed on as unspecified."""
    _, assertion = respond(parties, authn_context=None)
    path = "saml:AuthnStatement/saml:AuthnContext/saml:AuthnContextClassRef/text()"
    assert values(assertion, path) == ["urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"]


@pytest.mark.profile(31)
def test_exactly_what_was_shown_leaves(parties: Parties) -> None:
    """Each item under the service's name for it, one element a value, and nothing of the upstream's besides."""
    items = (
        Item("borrower_number", ("4711",), WORDS),
        Item("cpr", (CPR,), WORDS),
        Item("mail", ("a@x.example", "b@x.example"), WORDS),
        Item("cn", (), WORDS),
    )
    _, assertion = respond(parties, parties.disclosure(*items))
    found = {
        (each.get("Name"), each.get("NameFormat").rpartition(":")[2], each.get("FriendlyName")): values(
            each, "*/text()"
        )
        for each in assertion.xpath("//saml:Attribute", namespaces=SPACES)
    }
    assert found == {
        ("urn:oid:0.9.2342.19200300.100.1.1", "uri", "uid"): ["4711"],
        ("urn:oid:1.3.6.1.4.1.25178.1.2.15", "uri", "schacPersonalUniqueID"): [
            f"urn:mace:terena.org:schac:personalUniqueID:dk:CPR:{CPR}"
        ],
        ("mail", "basic", "mail"): ["a@x.example", "b@x.example"],
    }
    kinds = assertion.xpath("//saml:AttributeValue/@*", namespaces=SPACES)
    assert set(kinds) == {"xs:string"}


def test_without_items_there_is_no_statement(parties: Parties) -> None:
    """An empty AttributeStatement is against the schema, and services refuse it.

    Source: docs/reference/interop.md#attribute-statement.
    """
    _, assertion = respond(parties, replace(parties.disclosure(), items=()))
    assert values(assertion, "saml:AttributeStatement") == []
    assert CN not in etree.tostring(assertion).decode()


@pytest.mark.profile(11, 29)
def test_a_service_with_a_key_gets_ciphertext(parties: Parties) -> None:
    """AES-128-GCM and RSA-OAEP, and no value in clear; the Response around it is signed too."""
    form = parties.idp.respond(parties.request, parties.disclosure(), parties.authentication(), parties.make_ids())
    xml = parties.message(form)
    root = safe_parser.parse(xml, RESPONSE)
    assert root.find(SIGNATURE) is not None
    assert [each.get("Algorithm", "").rpartition("#")[2] for each in root.iter("{*}EncryptionMethod")] == [
        "aes128-gcm",
        "rsa-oaep-mgf1p",
    ]
    assert b">4711<" not in xml
    assert b"pairwise-1" not in xml


def test_a_service_without_a_key_gets_a_plain_assertion(parties: Parties) -> None:
    """The Response and its Assertion are both signed."""
    disclosure = parties.disclosure(service="open", entity=OPEN)
    root, assertion = respond(parties, disclosure, request=make_request_of_open(parties))
    assert root.find("{*}Assertion") is assertion


@pytest.mark.profile(29)
def test_a_cpr_never_leaves_in_clear(parties: Parties) -> None:
    """The last line of defence, whatever a policy says, and the error does not say the number.

    Source: docs/reference/design.md#invariant-4.
    """
    disclosure = parties.disclosure(Item("cpr", (CPR,), WORDS), service="open", entity=OPEN)
    with pytest.raises(BrokerError, match="unencrypted") as caught:
        respond(parties, disclosure, request=make_request_of_open(parties))
    assert CPR not in str(caught.value)


def test_a_service_that_says_it_encrypts_must_have_the_key(parties: Parties) -> None:
    """The key in the metadata decides about encryption, not a field of the service."""
    services = {OPEN: replace(parties.services["open"], encrypts=True)}
    idp = replace(parties.idp, services=services)
    disclosure = parties.disclosure(Item("cpr", (CPR,), WORDS), service="open", entity=OPEN)
    with pytest.raises(BrokerError, match="unencrypted"):
        idp.respond(make_request_of_open(parties), disclosure, parties.authentication(), parties.make_ids())


@pytest.mark.parametrize("change", [{"service": "open"}, {"acs": f"{OPEN}/acs"}])
def test_a_disclosure_for_another_service_or_acs_is_not_sent(parties: Parties, change: dict[str, Any]) -> None:
    """A disclosure belongs to one service and one ACS (docs/reference/design.md#invariant-3)."""
    with pytest.raises(BrokerError, match="another service or ACS"):
        respond(parties, replace(parties.disclosure(), **change))


@pytest.mark.parametrize(
    "change", [{"acs": "https://evil.example/acs"}, {"acs": f"{OPEN}/acs"}, {"entity_id": OPEN}, {"service": "open"}]
)
@pytest.mark.profile(25)
def test_nothing_is_posted_to_an_acs_that_is_not_registered(parties: Parties, change: dict[str, Any]) -> None:
    """Not even if it was when the request came: both answers look again.

    Source: docs/reference/design.md#invariant-3.
    """
    request = replace(parties.request, **change)
    disclosure = replace(parties.disclosure(), service=request.service, acs=request.acs)
    with pytest.raises(BrokerError, match="no longer"):
        respond(parties, disclosure, request=request)
    with pytest.raises(BrokerError, match="no longer"):
        parties.idp.refuse(request, AUTHN_FAILED, "_r9", NOW)


@pytest.mark.profile(40)
def test_the_format_asked_for_is_given_or_refused(parties: Parties) -> None:
    """A persistent identifier where a transient one was asked would be more than was asked.

    Source: docs/reference/saml-profiles.md#40.
    """
    asked = replace(parties.request, name_id_format=PERSISTENT)
    assert respond(parties, request=asked)[1] is not None
    with pytest.raises(RequestRefused) as caught:
        respond(parties, request=replace(parties.request, name_id_format=TRANSIENT))
    assert caught.value.refusal == INVALID_NAME_ID_POLICY


@pytest.mark.parametrize(
    "status",
    [NO_PASSIVE, PROXY_COUNT_EXCEEDED, INVALID_NAME_ID_POLICY, Status("urn:oasis:names:tc:SAML:2.0:status:Responder")],
)
@pytest.mark.profile(33)
def test_a_refusal_is_signed_and_says_the_status_only(parties: Parties, status: Status) -> None:
    """No assertion, and no message in which an upstream's words could stand."""
    form = parties.idp.refuse(parties.request, status, "_r9", NOW)
    root, assertion = parties.open_response(form)
    assert (form.action, form.fields["RelayState"]) == (f"{LOANS}/acs", "state/1")
    assert (root.get("ID"), root.get("InResponseTo"), root.get("Destination")) == ("_r9", "_s1", f"{LOANS}/acs")
    assert values(root, "samlp:Status//@Value") == [each for each in status if each]
    assert values(root, "samlp:Status/samlp:StatusMessage | samlp:Status/samlp:StatusDetail") == []
    assert assertion is None


def test_an_attribute_without_a_name_is_an_error(parties: Parties) -> None:
    """The broker raises an error instead of leaving out an attribute that the person has seen."""
    idp = replace(parties.idp, maps={"library": AttributeMap("library", (), outgoing=True)})
    with pytest.raises(BrokerError, match="no row for borrower_number"):
        idp.respond(parties.request, parties.disclosure(), parties.authentication(), parties.make_ids())
