"""Attack: tricks of known vulnerabilities in other implementations, each applied to one valid signed Response.

Source: docs/reference/attacks.md#2 to #7, #10 and #11.
"""

from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.xml_security import signature
from broker.adapters.saml.xml_security.xml_names import DS, SAMLP, SIGNED_INFO
from broker.core.errors import SUCCESS, MessageRefused
from broker.core.login.transaction import Authentication, UpstreamRefusal
from tests.attacks.messages.defences import mark_by_class_number
from tests.attacks.messages.signed_tricks import TRICKS
from tests.plugins.saml_parties import NOW, Parties, drop, edit


@pytest.mark.parametrize("name", mark_by_class_number(TRICKS))
def test_a_trick_is_refused_by_its_check(parties: Parties, name: str) -> None:
    """The check that defends against the trick refuses the message."""
    make, cause = TRICKS[name]
    with pytest.raises(MessageRefused) as refused:
        parties.receive(make(parties))
    assert refused.value.cause == cause


@pytest.mark.attack(5)
@pytest.mark.parametrize("place", ["KeyInfo", "Extensions", "StatusDetail"])
def test_a_status_is_read_where_the_signature_covers_it(parties: Parties, place: str) -> None:
    """An unsigned status code that is smuggled in front of the genuine one does not turn an error into a success."""
    failed = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    root = parties.response(drop("saml:Assertion"), edit("samlp:Status/samlp:StatusCode", Value=failed))
    signature.sign(root, parties.hub.key)
    code = etree.fromstring(f'<x xmlns="urn:x"><p:StatusCode xmlns:p="{SAMLP}" Value="{SUCCESS.top}"/></x>')
    if place == "KeyInfo":
        root.find(f".//{{{DS}}}KeyInfo").append(code)
        assert isinstance(parties.receive(etree.tostring(root)).answer, UpstreamRefusal)
    else:
        holder = etree.Element(f"{{{SAMLP}}}{place}")
        holder.append(code)
        root.insert(2, holder) if place == "Extensions" else root.find(f"{{{SAMLP}}}Status").append(holder)
        with pytest.raises(MessageRefused, match=r"xml\.signature"):
            parties.receive(etree.tostring(root))


@pytest.mark.attack(2, 5, 6, 10, control=True)
def test_a_certificate_in_keyinfo_is_ignored(parties: Parties) -> None:
    """Control: KeyInfo is ignored, so a certificate in it neither breaks nor replaces the genuine signature."""
    root: Any = etree.fromstring(parties.sign_response(parties.response()))
    root.find(f".//{{{DS}}}X509Certificate").text = parties.stranger.key.certificate
    assert isinstance(parties.receive(etree.tostring(root)).answer, Authentication)
    assert root.find(f".//{SIGNED_INFO}") is not None
    assert parties.receive(parties.sign_response(parties.response()), now=NOW).message_id == "_a1"
