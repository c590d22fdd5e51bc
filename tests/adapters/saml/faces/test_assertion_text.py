"""The Assertion and the Response as text: octet for octet what pysaml2's classes and a canonicaliser make of them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from broker.adapters.saml.faces import assertion_text
from broker.adapters.saml.faces.assertion_text import Assertable
from broker.adapters.saml.gate import encryption, safe_parser, signature, xml_structure_checks
from broker.adapters.saml.gate.algorithm_selection import DEFAULT_SIGNING, EncryptionAlgorithms, SigningAlgorithms
from broker.adapters.saml.gate.xml_names import ASSERTION, ENCRYPTED_ASSERTION, RESPONSE, XSI
from broker.core.consent.disclosure import Item
from broker.core.entities import PERSISTENT, TRANSIENT
from broker.core.errors import BrokerError
from broker.core.identity.canonical_attributes import AttributeMap, MapRow
from tests.plugins import reference_assertion
from tests.plugins.drawn import at_gate, drawn
from tests.plugins.saml_parties import IDP, WORDS, Parties

ROWS = (
    MapRow("urn:oid:2.5.4.3", "cn"),
    MapRow("mail", "mail"),
    MapRow("urn:oid:1.3.6.1.4.1.25178.1.2.15", "cpr"),
    MapRow("urn:oid:1.3.6.1.4.1.5923.1.1.1.10", "eduPersonTargetedID"),
)
MAP = AttributeMap("library", ROWS, outgoing=True)
# All that XML can hold, and often what an escape is for; but for the carriage return, of which the reference makes a
# line feed.
LETTERS = st.sampled_from("&<>\"'\t\n ]}æ\u0085\u00a0\u2028😀") | st.characters(
    codec="utf-8", min_codepoint=0x20, exclude_characters="\ufffe\uffff"
)
TEXTS = st.text(LETTERS, min_size=1, max_size=12)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - they are given it
ITEMS = st.builds(
    Item, st.sampled_from([row.name for row in ROWS]), st.lists(TEXTS, max_size=3).map(tuple), st.just(WORDS)
)
ALGORITHMS = [
    SigningAlgorithms(
        f"http://www.w3.org/2001/04/xmldsig-more#rsa-{size}",
        {"sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384"}.get(
            size, f"http://www.w3.org/2001/04/xmlenc#{size}"
        ),
    )
    for size in ("sha256", "sha384", "sha512")
]


@st.composite
def changes(draw: Any) -> dict[str, Any]:
    """Give every part of an assertion that comes from somebody else."""
    return {
        "issuer": draw(TEXTS),
        "request": {"id": draw(TEXTS), "entity_id": draw(TEXTS), "acs": draw(TEXTS)},
        "disclosure": {
            "name_id_format": draw(st.sampled_from([PERSISTENT, TRANSIENT])),
            "items": tuple(draw(st.lists(ITEMS, max_size=4))),
        },
        "authentication": {
            "issuer": draw(st.just("") | TEXTS),
            "authorities": tuple(draw(st.lists(TEXTS, max_size=3))),
            "authn_instant": draw(TIMES),
            "authn_context": draw(st.none() | TEXTS),
            "session_until": draw(st.none() | TIMES),
        },
        "issued": {"response": draw(TEXTS), "assertion": draw(TEXTS), "at": draw(TIMES), "name_id": draw(TEXTS)},
    }


def assertable(parties: Parties, changed: dict[str, Any]) -> Assertable:
    """Give what an assertion is made of, changed."""
    return Assertable(
        changed["issuer"],
        replace(parties.request, **changed["request"]),
        replace(parties.disclosure(), **changed["disclosure"]),
        parties.authentication(**changed["authentication"]),
        replace(parties.issued(), **changed["issued"]),
    )


def signed(parties: Parties, item: Item) -> str:
    """Give a signed Assertion with this attribute."""
    disclosure = parties.disclosure(item)
    of = Assertable(IDP, parties.request, disclosure, parties.authentication(), parties.issued())
    return assertion_text.assertion(of, MAP, encrypted=True).signed(parties.idp.key, DEFAULT_SIGNING)


@pytest.mark.parametrize(
    "runs", [100, pytest.param(at_gate(1_500, otherwise=10_000), marks=pytest.mark.slow(seconds=15))]
)
def test_the_text_is_the_canonical_form_of_the_reference(parties: Parties, runs: int) -> None:
    """Whatever stands in it: octet for octet pysaml2's classes, canonicalised by lxml."""

    @settings(max_examples=drawn(runs), deadline=None, suppress_health_check=list(HealthCheck))
    @given(changes())
    def alike(changed: dict[str, Any]) -> None:
        of = assertable(parties, changed)
        written = assertion_text.assertion(of, MAP, encrypted=True)
        assert f"{written.before}{written.after}".encode() == reference_assertion.canonical(
            reference_assertion.assertion(of, MAP)
        )
        around = assertion_text.response(of, "")
        assert f"{around.before}{around.after}".encode() == reference_assertion.canonical(
            reference_assertion.response(of)
        )

    alike()


@settings(max_examples=drawn(50), deadline=None, suppress_health_check=list(HealthCheck))
@given(changed=changes(), by=st.sampled_from(ALGORITHMS))
def test_what_is_sent_verifies_and_says_the_same(
    parties: Parties, changed: dict[str, Any], by: SigningAlgorithms
) -> None:
    """Both signatures hold, alone and one within the other, and the Assertion is the one that was written."""
    changed["issued"] |= {"response": "_resp1", "assertion": "_assertion1"}
    of = assertable(parties, changed)
    key = parties.idp.key
    assertion = assertion_text.assertion(of, MAP, encrypted=True).signed(key, by)
    sent = assertion_text.declared(assertion_text.response(of, assertion).signed(key, by))
    root = etree.fromstring(sent)
    certificates = parties.ring.idp.signing_certificates
    signature.verify(root, certificates)
    within, alone = root.find(ASSERTION), etree.fromstring(assertion_text.declared(assertion))
    for where in (within, alone):
        assert where is not None
        signature.verify(where, certificates)
        assert etree.tostring(where, method="c14n", exclusive=True) == assertion.encode()


@pytest.mark.parametrize("size", ["aes128-gcm", "aes256-gcm"])
@pytest.mark.parametrize("transport", ["2001/04/xmlenc#rsa-oaep-mgf1p", "2009/xmlenc11#rsa-oaep"])
def test_what_is_sealed_opens_for_its_recipient(parties: Parties, size: str, transport: str) -> None:
    """Whatever its metadata lists; canonical where it stands, so that the Response's signature covers it."""
    by = EncryptionAlgorithms(f"http://www.w3.org/2009/xmlenc11#{size}", f"http://www.w3.org/{transport}")
    written = signed(parties, Item("cn", ("Æ",), WORDS))
    plain = assertion_text.declared(written)
    sealed = encryption.encrypted(plain, parties.service.certificate, by)
    element = etree.fromstring(sealed)
    assert element.tag == ENCRYPTED_ASSERTION
    assert etree.tostring(element, method="c14n", exclusive=True) == sealed.encode()
    keys = encryption.DecryptionKeys.of([parties.service.private])
    opened = encryption.decrypt(element, keys, allow_cbc=False)
    assert etree.tostring(opened, method="c14n", exclusive=True) == written.encode()
    again = encryption.encrypted(plain, parties.service.certificate, by)
    assert {each.text for each in element.iter("{*}CipherValue")}.isdisjoint(
        each.text for each in etree.fromstring(again).iter("{*}CipherValue")
    )


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
@pytest.mark.parametrize("where", ["value", "acs"])
def test_what_xml_cannot_hold_is_not_written(parties: Parties, character: str, where: str) -> None:
    """Neither dropped nor replaced, in a text and in an attribute."""
    value = f"a{character}b"
    disclosure = parties.disclosure(Item("cn", (value if where == "value" else "a",), WORDS))
    request = replace(parties.request, acs=value if where == "acs" else parties.request.acs)
    of = Assertable(IDP, request, disclosure, parties.authentication(), parties.issued())
    with pytest.raises(BrokerError) as refused:
        assertion_text.assertion(of, MAP, encrypted=True)
    assert value not in str(refused.value)


def test_a_value_that_looks_like_our_own_tags_stays_a_value(parties: Parties) -> None:
    """The declaration that is put in afterwards finds the tags of ours only."""
    trick = f'</saml:AttributeValue><saml:AttributeValue xmlns:xsi="{XSI}" xsi:type="xs:string">'
    root = etree.fromstring(assertion_text.declared(signed(parties, Item("cn", (trick,), WORDS))))
    assert [each.text for each in root.iter("{*}AttributeValue")] == [trick]


def test_white_space_stays_as_it_is(parties: Parties) -> None:
    """Carriage returns too: a parser makes line feeds of those that are not escaped."""
    root = etree.fromstring(assertion_text.declared(signed(parties, Item("cn", ("a\r\n\t b\r",), WORDS))))
    assert [each.text for each in root.iter("{*}AttributeValue")] == ["a\r\n\t b\r"]


def test_what_leaves_is_valid_against_the_schema(parties: Parties) -> None:
    """Plain as it is: xsi:type names a namespace that is declared."""
    of = Assertable(IDP, parties.request, parties.disclosure(), parties.authentication(), parties.issued())
    around = assertion_text.response(of, signed(parties, Item("cn", ("Asta",), WORDS)))
    sent = assertion_text.declared(around.signed(parties.idp.key, DEFAULT_SIGNING))
    assert xml_structure_checks.valid(safe_parser.parse(sent, RESPONSE))
