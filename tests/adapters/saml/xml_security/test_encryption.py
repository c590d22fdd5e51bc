"""Encryption: algorithms are refused before anything is decrypted, and all that fails afterwards looks alike."""

import base64
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree

from broker.adapters.saml.xml_security import encryption
from broker.adapters.saml.xml_security.xml_names import (
    ASSERTION,
    DS,
    ENCRYPTED_ASSERTION,
    ENCRYPTED_DATA,
    ENCRYPTED_KEY,
    SAML,
    XENC,
    XENC11,
)
from broker.core.errors import MessageRefused
from tests.plugins.saml_messages import NOW, Forge, octets

OAEP11 = XENC11 + "rsa-oaep"
DIGEST = f'<ds:DigestMethod Algorithm="{XENC}sha256"/>'
MASK = f'<xenc11:MGF xmlns:xenc11="{XENC11}" Algorithm="{XENC11}mgf1sha256"/>'
CIPHER_VALUE = f".//{{{XENC}}}CipherValue"


def plain(forge: Forge, value: str = "nurse@au.dk") -> bytes:
    """Give a signed assertion as octets that stand alone."""
    return etree.tostring(forge.sign_response(forge.response(value)).find(ASSERTION), encoding="utf-8")


def decrypt_assertion(forge: Forge, sealed: Any, *, allow_cbc: bool = False) -> Any:
    """Send an EncryptedAssertion through an endpoint and give the assertion, its signature verified."""
    return forge.receive(octets(forge.enclose(sealed)), allow_cbc=allow_cbc)


@pytest.mark.attack(23, control=True)
@pytest.mark.parametrize("content", [f"{XENC11}aes{size}-gcm" for size in (128, 192, 256)])
@pytest.mark.parametrize(
    ("transport", "inner"),
    [(XENC + "rsa-oaep-mgf1p", ""), (XENC + "rsa-oaep-mgf1p", DIGEST), (OAEP11, DIGEST + MASK), (OAEP11, MASK)],
)
def test_the_usual_algorithms_are_decrypted(content: str, transport: str, inner: str, forge: Forge) -> None:
    """AES-GCM in all key sizes, with RSA-OAEP in both spellings."""
    sealed = forge.encrypt(plain(forge, "Søren"), content=content, transport=transport, inner=inner)
    assert decrypt_assertion(forge, sealed).findtext(f".//{{{SAML}}}AttributeValue") == "Søren"


def test_the_assertion_is_alone_in_its_tree(forge: Forge) -> None:
    """Nothing of the Response around it can be found from the decrypted assertion."""
    found = decrypt_assertion(forge, forge.encrypt(plain(forge)))
    assert found.getroottree().getroot() is found


@pytest.mark.profile(8)
def test_either_of_our_keys_decrypts(forge: Forge) -> None:
    """While a key rolls over, peers with older metadata encrypt for the older key, or for both."""
    assert decrypt_assertion(forge, forge.encrypt(plain(forge), to=forge.older)).get("ID") == "a1"
    sealed = forge.encrypt(plain(forge))
    foreign = forge.encrypt(plain(forge), to=forge.stranger).find(f".//{ENCRYPTED_KEY}")
    sealed.find(f".//{{{DS}}}KeyInfo").insert(0, foreign)
    assert decrypt_assertion(forge, sealed).get("ID") == "a1"


def test_a_key_beside_the_content_is_found(forge: Forge) -> None:
    """Some peers put EncryptedKey after EncryptedData, and name keys by names that are not ours."""
    sealed = forge.encrypt(plain(forge))
    key = sealed.find(f".//{ENCRYPTED_KEY}")
    holder = etree.fromstring(f'<ds:KeyInfo xmlns:ds="{DS}"><ds:KeyName>ours, they say</ds:KeyName></ds:KeyInfo>')
    key.insert(1, deepcopy(holder))
    sealed.find(f".//{{{DS}}}KeyInfo").append(holder[0])
    sealed.append(key)
    assert decrypt_assertion(forge, sealed).get("ID") == "a1"


def pointing(sealed: Any, uri: str = "#k1", kind: str = XENC + "EncryptedKey", *, transformed: bool = False) -> Any:
    """Move the EncryptedKey beside the content, with a RetrievalMethod in its place."""
    key, holder = sealed.find(f".//{ENCRYPTED_KEY}"), sealed.find(f".//{{{DS}}}KeyInfo")
    key.set("Id", "k1")
    sealed.append(key)
    pointer = etree.SubElement(holder, f"{{{DS}}}RetrievalMethod", URI=uri, Type=kind)
    if transformed:
        etree.SubElement(etree.SubElement(pointer, f"{{{DS}}}Transforms"), f"{{{DS}}}Transform", Algorithm="urn:x")
    return sealed


def test_a_pointer_to_the_key_beside_is_none_elsewhere(forge: Forge) -> None:
    """Shibboleth and .NET write a RetrievalMethod to the EncryptedKey of the same element."""
    assert decrypt_assertion(forge, pointing(forge.encrypt(plain(forge)))).get("ID") == "a1"


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    "how",
    [
        {"uri": "#k2"},
        {"uri": ""},
        {"uri": "http://127.0.0.1:1/#k1"},
        {"uri": "#xpointer(id('k1'))"},
        {"kind": DS + "X509Data"},
        {"transformed": True},
    ],
)
def test_a_pointer_anywhere_else_is_refused(forge: Forge, how: dict[str, Any]) -> None:
    """Another element, another document, an expression, another kind, or a transformation: nothing is fetched."""
    with pytest.raises(MessageRefused, match=r"xml\.retrieval_method"):
        decrypt_assertion(forge, pointing(forge.encrypt(plain(forge)), **how))


@pytest.mark.parametrize("prolog", [b"", b"\n ", b'<?xml version="1.0" encoding="UTF-8"?>\n'])
def test_a_subtree_without_its_namespaces_inherits_them(prolog: bytes, forge: Forge) -> None:
    """Many encrypt a piece of a document as it stands, its prefixes declared further up."""
    whole = etree.tostring(forge.sign_response(), encoding="unicode")
    piece = whole[whole.index("<saml:Assertion") : whole.index("</samlp:Response>")]
    assert "xmlns:saml=" not in piece.partition(">")[0]
    found = decrypt_assertion(forge, forge.encrypt(prolog + piece.encode()))
    assert found.nsmap["xs"] == "http://www.w3.org/2001/XMLSchema"


def _change_element(change: Callable[[Any], None], **how: Any) -> Callable[[Forge], Any]:
    def make(forge: Forge) -> Any:
        sealed = forge.encrypt(plain(forge), **how)
        change(sealed)
        return sealed

    return make


def _key_elsewhere(sealed: Any) -> None:
    etree.SubElement(sealed.find(f".//{{{DS}}}KeyInfo"), f"{{{DS}}}RetrievalMethod", URI="#k1")


def _content_elsewhere(sealed: Any) -> None:
    value = sealed.findall(CIPHER_VALUE)[-1]
    value.getparent().append(etree.Element(f"{{{XENC}}}CipherReference", URI="http://127.0.0.1:1/"))
    value.getparent().remove(value)


def _many_keys(sealed: Any) -> None:
    key = sealed.find(f".//{ENCRYPTED_KEY}")
    for _ in range(4):
        key.addnext(deepcopy(key))


def _no_method(sealed: Any) -> None:
    data = sealed.find(ENCRYPTED_DATA)
    data.remove(data[0])


def _no_key_method(sealed: Any) -> None:
    key = sealed.find(f".//{ENCRYPTED_KEY}")
    key.remove(key[0])


def _keep_element(_sealed: Any) -> None:
    pass


SHA512 = f'<ds:DigestMethod Algorithm="{XENC}sha512"/>'
REFUSED: dict[str, tuple[Callable[[Forge], Any], ...]] = {
    "encrypted_data": (_change_element(_keep_element, kind=XENC + "Content"),),
    "cipher_reference": (_change_element(_content_elsewhere),),
    "retrieval_method": (_change_element(_key_elsewhere),),
    "encrypted_keys": (_change_element(_many_keys), _change_element(lambda sealed: sealed[0].remove(sealed[0][1]))),
    "content_method": (_change_element(_keep_element, content=XENC + "tripledes-cbc"), _change_element(_no_method)),
    "key_method": (_change_element(_keep_element, transport=XENC + "rsa-1_5"), _change_element(_no_key_method)),
    "key_digest": (
        _change_element(_keep_element, inner=SHA512),
        _change_element(_keep_element, transport=OAEP11, inner=SHA512 + MASK),
        _change_element(_keep_element, transport=OAEP11, inner=MASK.replace("mgf1sha256", "mgf1sha512")),
        _change_element(_keep_element, inner="<xenc:OAEPparams>AAAA</xenc:OAEPparams>"),
    ),
}


def _cause(forge: Forge, sealed: Any) -> str | None:
    try:
        decrypt_assertion(forge, sealed)
    except MessageRefused as refusal:
        return refusal.cause
    return None


def test_every_check_before_decryption_has_its_message() -> None:
    """A check without a message that it refuses is a check nobody has seen work."""
    assert REFUSED.keys() == encryption.METHODS.keys()


@pytest.mark.attack(23)
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.profile(11)
def test_refused_before_decryption(name: str, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named check refuses the message; without that check no other gives this reason."""
    for make in REFUSED[name]:
        assert _cause(forge, make(forge)) == f"xml.{name}"
    rest = {each: check for each, check in encryption.METHODS.items() if each != name}
    monkeypatch.setattr(encryption, "METHODS", rest)
    assert all(_cause(forge, make(forge)) != f"xml.{name}" for make in REFUSED[name])


def _flip_bit(octet: int, which: int) -> Callable[[Forge], Any]:
    def make(forge: Forge) -> Any:
        sealed = forge.encrypt(plain(forge), content=XENC + "aes256-cbc")
        value = sealed.findall(CIPHER_VALUE)[which]
        changed = bytearray(base64.b64decode(value.text))
        changed[octet] ^= 1
        value.text = base64.b64encode(bytes(changed)).decode()
        return sealed

    return make


UNIFORM: dict[str, Callable[[Forge], Any]] = {
    "another's key": lambda forge: forge.encrypt(plain(forge), to=forge.stranger),
    "wrapped key changed": _flip_bit(7, 0),
    "padding changed": _flip_bit(-17, 1),
    "first block changed": _flip_bit(3, 1),
    "not XML": lambda forge: forge.encrypt(b"\0\1\2"),
    "a blank": lambda forge: forge.encrypt(b" "),
    "no assertion": lambda forge: forge.encrypt(b"<saml:Issuer>x</saml:Issuer>"),
    "two assertions": lambda forge: forge.encrypt(plain(forge) * 2),
    "a doctype": lambda forge: forge.encrypt(b"<!DOCTYPE x [<!ENTITY e 'v'>]>" + plain(forge)),
    "a comment": lambda forge: forge.encrypt(plain(forge, "nurse@au.dk<!-- -->.evil")),
    "against the schema": lambda forge: forge.encrypt(plain(forge).replace(b'Version="2.0"', b"", 1)),
    "an assertion within": lambda forge: forge.encrypt(plain(forge, f"<x>{forge.assertion(name='a2')}</x>")),
    "a signature elsewhere": lambda forge: forge.encrypt(plain(forge).replace(b'URI="#a1"', b'URI="#r1"')),
}


@pytest.mark.attack(23)
@pytest.mark.parametrize("name", UNIFORM)
def test_all_failures_after_decryption_look_alike(name: str, forge: Forge) -> None:
    """The error does not tell an attacker whether padding, XML or schema was wrong."""
    sealed = forge.enclose(UNIFORM[name](forge)).find(ENCRYPTED_ASSERTION)
    with pytest.raises(MessageRefused) as refusal:
        encryption.decrypt(sealed, forge.decryption, allow_cbc=True)
    assert (str(refusal.value), refusal.value.__suppress_context__) == ("xml.decryption", True)


def test_every_encryption_has_its_own_key(forge: Forge) -> None:
    """Two encryptions of one assertion share neither session key nor nonce."""
    assertion = forge.sign_response().find(ASSERTION)
    once, again = (
        [each.text for each in encryption.encrypt(assertion, forge.broker.certificate).iterfind(CIPHER_VALUE)]
        for _ in range(2)
    )
    assert not set(once) & set(again)


def _elliptic() -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elliptic")])
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, NOW, NOW + timedelta(days=1))
    return made.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("certificate", [b"no certificate", _elliptic()])
def test_nothing_is_encrypted_for_what_is_no_rsa_key(certificate: bytes, forge: Forge) -> None:
    """A recipient without a usable certificate gets nothing rather than something in the clear."""
    with pytest.raises(MessageRefused, match=r"xml\.key"):
        encryption.encrypt(forge.sign_response().find(ASSERTION), certificate)
