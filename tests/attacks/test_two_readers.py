"""Attack: messages that libxml2 (verifies) and pysaml2 (reads) understand differently.

The broker refuses them, or reads exactly what was signed.
"""

from collections.abc import Callable
from typing import Any

import pytest
import xmlsec
from lxml import etree
from saml2 import create_class_from_xml_string, saml, samlp

from broker.adapters.saml.xml_security import canonical_form, message_reading, signature
from broker.adapters.saml.xml_security.xml_names import ASSERTION, EXCLUSIVE, SAML, XS, XSI
from broker.core.errors import MessageRefused
from broker.core.login.transaction import Authentication
from tests.plugins.saml_parties import NOW, Parties, add, edit

STATEMENT = "saml:Assertion/saml:AttributeStatement"
VALUE = f"{STATEMENT}/saml:Attribute[1]/saml:AttributeValue"
NAME_ID = "saml:Assertion/saml:Subject/saml:NameID"
Change = Callable[[Any], object] | bytes


def value(written: str) -> bytes:
    """Return an Attribute with this value as a string, because lxml would change its namespace declarations."""
    return f'<saml:Attribute Name="urn:y">{written}</saml:Attribute>'.encode()


def make_typed_value(kind: str, text: str, declared: str = f' xmlns:xs="{XS}"') -> bytes:
    """Return an Attribute whose value has an xsi:type."""
    return value(f'<saml:AttributeValue xmlns:xsi="{XSI}"{declared} xsi:type="{kind}">{text}</saml:AttributeValue>')


def insert_node(path: str, node: Callable[[], Any]) -> Change:
    """Return a change that inserts a node in the middle of a text."""

    def change(root: Any) -> None:
        target = root.find(path, {"saml": SAML})
        text = target.text
        target.text = text[:2]
        added = node()
        added.tail = text[2:]
        target.insert(0, added)

    return change


REFUSED: dict[str, tuple[Change, str]] = {
    "two NameIDs": (add("saml:Assertion/saml:Subject", "<saml:NameID>chief</saml:NameID>", 0), "xml.schema"),
    "a NameID in the confirmation": (
        add("saml:Assertion/saml:Subject/saml:SubjectConfirmation", "<saml:NameID>chief</saml:NameID>", 0),
        "response.identifiers",
    ),
    "a NameID in the data of the confirmation": (
        add(
            "saml:Assertion/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData",
            "<x><saml:NameID>chief</saml:NameID></x>",
        ),
        "response.identifiers",
    ),
    "two Issuers": (add("saml:Assertion", "<saml:Issuer>https://evil.example</saml:Issuer>", 1), "xml.schema"),
    "two Issuers of the Response": (add(".", "<saml:Issuer>https://evil.example</saml:Issuer>", 1), "xml.schema"),
    "a comment in a value": (insert_node(VALUE, lambda: etree.Comment("x")), "xml.comment"),
    "a comment in the NameID": (insert_node(NAME_ID, lambda: etree.Comment("x")), "xml.comment"),
    "an instruction in a value": (insert_node(VALUE, lambda: etree.ProcessingInstruction("x", "y")), "xml.instruction"),
    "an element in a value": (value("<saml:AttributeValue>a<x>b</x>c</saml:AttributeValue>"), "xml.value_structure"),
    "two NameIDs in a value": (
        value("<saml:AttributeValue><saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID></saml:AttributeValue>"),
        "xml.value_structure",
    ),
    "text around the NameID in a value": (
        value("<saml:AttributeValue>a<saml:NameID>b</saml:NameID></saml:AttributeValue>"),
        "xml.value_structure",
    ),
    "text behind the NameID in a value": (
        value("<saml:AttributeValue><saml:NameID>b</saml:NameID>a</saml:AttributeValue>"),
        "xml.value_structure",
    ),
    "an element in a NameID": (add(NAME_ID, "<x>chief</x>"), "xml.schema"),
    **{
        f"xs:{kind}": (make_typed_value(f"xs:{kind}", text), "xml.value_type")
        for kind, text in {
            "integer": "007",
            "int": "+7",
            "short": "0",
            "long": "1",
            "float": "1e1",
            "double": "1.50",
            "boolean": "true",
            "date": "2026-01-01",
            "base64Binary": "YQ==",
            "QName": "saml:x",
            "dateTime": "2026-01-01T00:00:00Z",
        }.items()
    },
    "an integer by another prefix": (make_typed_value("a:integer", "007", f' xmlns:a="{XS}"'), "xml.value_type"),
    "an integer by the default namespace": (
        value(f'<saml:AttributeValue xmlns="{XS}" xmlns:xsi="{XSI}" xsi:type="integer">7</saml:AttributeValue>'),
        "xml.value_type",
    ),
}


def read_value(parties: Parties, change: Change, *, how: str = "assertion") -> Authentication:
    """Return what the broker reads in a Response with this change, signed by the upstream."""
    if isinstance(change, bytes):
        end = b"</saml:AttributeStatement>"
        root = etree.fromstring(etree.tostring(parties.response()).replace(end, change + end))
    else:
        root = parties.response(change)
    ways: dict[str, Callable[[], bytes]] = {
        "assertion": lambda: parties.sign_response(root),
        "whole": lambda: parties.sign_response(root, whole=True),
        "both": lambda: parties.sign_response(root, both=True),
    }
    answer = parties.receive(ways[how](), now=NOW).answer
    assert isinstance(answer, Authentication)
    return answer


@pytest.mark.attack(11)
@pytest.mark.parametrize("how", ["assertion", "whole"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_message_that_two_readers_read_differently_is_refused(parties: Parties, name: str, how: str) -> None:
    """A message with a valid signature is refused before pysaml2 reads it."""
    change, cause = REFUSED[name]
    with pytest.raises(MessageRefused) as refused:
        read_value(parties, change, how=how)
    assert refused.value.cause == cause


READ: dict[str, tuple[Change, str]] = {
    "a string": (make_typed_value("xs:string", "007"), "007"),
    "anyType, as Google writes it": (make_typed_value("xs:anyType", "true"), "true"),
    "a string by another prefix": (make_typed_value("a:string", "007", f' xmlns:a="{XS}"'), "007"),
    "a string by the default namespace": (
        value(f'<saml:AttributeValue xmlns="{XS}" xmlns:xsi="{XSI}" xsi:type="string">7</saml:AttributeValue>'),
        "7",
    ),
    "no type": (value("<saml:AttributeValue>007</saml:AttributeValue>"), "007"),
    "white space": (value("<saml:AttributeValue> a\n\tb&#13; </saml:AttributeValue>"), " a\n\tb\r "),
    "markup": (value("<saml:AttributeValue>&lt;b&gt;&amp;amp;&#x1F600;</saml:AttributeValue>"), "<b>&amp;\U0001f600"),
    "a CDATA section": (
        value("<saml:AttributeValue><![CDATA[<saml:NameID>]]>x</saml:AttributeValue>"),
        "<saml:NameID>x",
    ),
    "the prefix of another namespace": (
        value(f'<md:AttributeValue xmlns:md="{SAML}" xmlns:saml="urn:x">7</md:AttributeValue>'),
        "7",
    ),
    "a default namespace inside": (value(f'<AttributeValue xmlns="{SAML}">7</AttributeValue>'), "7"),
    "a NameID": (value(f'<saml:AttributeValue><NameID xmlns="{SAML}">a b</NameID></saml:AttributeValue>'), "a b"),
}


@pytest.mark.attack(11, control=True)
@pytest.mark.parametrize("how", ["assertion", "whole", "both"])
@pytest.mark.parametrize("name", READ)
def test_a_value_is_read_as_it_was_signed(parties: Parties, name: str, how: str) -> None:
    """Control: prefixes and escapes do not change the value that is read."""
    change, expected = READ[name]
    last = read_value(parties, change, how=how).attributes[-1]
    assert (last.name, last.values) == ("urn:y", (expected,))


@pytest.mark.attack(11)
@pytest.mark.parametrize("kind", ["integer", "float", "boolean"])
def test_pysaml2_would_change_a_typed_value(kind: str) -> None:
    """Shows why the check is needed: pysaml2 changes or loses typed values."""
    written = {"integer": "007", "float": "1.50", "boolean": "TRUE"}[kind]
    octets = (
        f'<a:AttributeValue xmlns:a="{SAML}" xmlns:xsi="{XSI}" xmlns:xs="{XS}" xsi:type="xs:{kind}">'
        f"{written}</a:AttributeValue>"
    )
    assert create_class_from_xml_string(saml.AttributeValue, octets).text != written


@pytest.mark.attack(1)
def test_content_of_another_digest_is_refused(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is refused if its canonical form differs from the digest that xmlsec verified.

    The test imitates a reader that loses a value. Without the comparison its result would be accepted.
    """
    xml = parties.sign_response(parties.response())
    honest = canonical_form.canonicalize

    def change_value(element: Any, prefixes: Any = ()) -> bytes:
        return honest(element, prefixes).replace(b"au1@au.dk", b"chief@au.dk")

    monkeypatch.setattr(signature, "canonicalize", change_value)
    with pytest.raises(MessageRefused) as refused:
        parties.receive(xml)
    assert refused.value.cause == "xml.digest"
    monkeypatch.setattr(signature, "_has_digest", lambda *_: True)
    answer = parties.receive(xml).answer
    assert isinstance(answer, Authentication)
    assert answer.attributes[0].values == ("chief@au.dk",)


@pytest.mark.attack(1)
@pytest.mark.parametrize("prefixes", ["", "xs", "xs xsi", "#default", "saml samlp #default", "none"])
def test_the_prefix_list_is_obeyed(parties: Parties, prefixes: str) -> None:
    """Namespaces that are declared outside the signed element are signed if the PrefixList names them."""
    answer = parties.receive(sign_with_prefixes(parties, parties.response(), prefixes)).answer
    assert isinstance(answer, Authentication)
    assert answer.name_id == "_t1"


@pytest.mark.attack(1)
def test_a_default_namespace_that_lxml_leaves_out_is_refused(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PrefixList with ``#default`` is refused: xmlsec supports it and lxml does not, so the digests differ."""
    around = etree.tostring(parties.response()).replace(b"<samlp:Response ", b'<samlp:Response xmlns="urn:around" ')
    xml = sign_with_prefixes(parties, etree.fromstring(around), "#default")
    with pytest.raises(MessageRefused) as refused:
        parties.receive(xml)
    assert refused.value.cause == "xml.digest"
    monkeypatch.setattr(signature, "_has_digest", lambda *_: True)
    assert isinstance(parties.receive(xml).answer, Authentication)


def sign_with_prefixes(parties: Parties, root: Any, prefixes: str) -> bytes:
    """Return a Response whose assertion is signed with this PrefixList."""
    assertion = root.find(ASSERTION)
    signature.sign(assertion, parties.hub.key)
    listed = f'<e:InclusiveNamespaces xmlns:e="{EXCLUSIVE}" PrefixList="{prefixes}"/>'
    made = assertion.find("{*}Signature")
    transform = made.findall(".//{*}Transform")[-1]
    transform.append(etree.fromstring(listed))
    for key_info in made.findall("{*}KeyInfo"):
        made.remove(key_info)
    context = xmlsec.SignatureContext()
    context.key = parties.hub.xml
    context.register_id(assertion, "ID")
    context.sign(made)
    return bytes(etree.tostring(root))


@pytest.mark.attack(5)
def test_an_unsigned_response_gives_only_its_refusal(parties: Parties) -> None:
    """The reader of an unsigned Response gets the refusal only, and cannot reach an assertion in it."""
    root = etree.fromstring(parties.sign_response(parties.response(edit("saml:Assertion", ID="_a1"))))
    envelope = message_reading.read_unsigned(samlp.Response, root)
    assert (envelope.assertion, envelope.encrypted_assertion, envelope.signature) == ([], [], None)
