"""Makes messages of an upstream for the XML security tests: genuine messages and the parts of hostile messages."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.xml_security import encryption, safe_parser, signature
from broker.adapters.saml.xml_security.encryption import DecryptionKeys
from broker.adapters.saml.xml_security.xml_names import (
    ASSERTION,
    DS,
    ENCRYPTED_ASSERTION,
    EXCLUSIVE,
    RESPONSE,
    SAML,
    SIGNATURE,
    XENC,
    XENC11,
)
from tests.plugins.saml_parties import Party

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SHA256 = XENC + "sha256"
UPSTREAM = "https://hub.example"
_NAMESPACES = f"""xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="{SAML}" \
xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance\""""
_ASSERTION = """<saml:Assertion ID="a1" Version="2.0" IssueInstant="2026-11-25T12:00:00Z">\
<saml:Issuer>https://hub.example</saml:Issuer><saml:Subject>\
<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">_t1</saml:NameID>\
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData \
NotOnOrAfter="2026-11-25T12:04:00Z" Recipient="https://broker.example/acs" InResponseTo="q1"/>\
</saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="2026-11-25T11:59:30Z" \
NotOnOrAfter="2026-11-25T12:04:00Z"><saml:AudienceRestriction><saml:Audience>https://broker.example</saml:Audience>\
</saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="2026-11-25T12:00:00Z">\
<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password\
</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>\
<saml:Attribute Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.6" \
NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><saml:AttributeValue%s>%s\
</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"""
_RESPONSE = f"""<samlp:Response {_NAMESPACES} ID="r1" Version="2.0" IssueInstant="2026-11-25T12:00:00Z" \
InResponseTo="q1" Destination="https://broker.example/acs"><saml:Issuer>{UPSTREAM}</saml:Issuer>%s<samlp:Status>\
<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>%s</samlp:Status>%s</samlp:Response>"""
REQUEST = f"""<samlp:AuthnRequest {_NAMESPACES} ID="q1" Version="2.0" IssueInstant="2026-11-25T12:00:00Z">\
<saml:Issuer>https://my-loans.example</saml:Issuer></samlp:AuthnRequest>""".encode()
_SIGNATURE = f"""<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="%(c14n)s"/>\
<ds:SignatureMethod Algorithm="%(method)s"/>%(references)s</ds:SignedInfo><ds:SignatureValue/></ds:Signature>"""
_REFERENCE = """<ds:Reference URI="%(uri)s"><ds:Transforms>%(transforms)s</ds:Transforms>\
<ds:DigestMethod Algorithm="%(digest)s"/><ds:DigestValue/></ds:Reference>"""
_SEALED = f"""<saml:EncryptedAssertion xmlns:saml="{SAML}"><xenc:EncryptedData xmlns:xenc="{XENC}" xmlns:ds="{DS}" \
Type="%(type)s"><xenc:EncryptionMethod Algorithm="%(content)s"/><ds:KeyInfo><xenc:EncryptedKey>\
<xenc:EncryptionMethod Algorithm="%(transport)s">%(inner)s</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue/>\
</xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData>\
</xenc:EncryptedData></saml:EncryptedAssertion>"""


def load_keys(*keys: Any) -> list[signature.VerifyKey]:
    """Load certificates (PEM) and public keys (key objects)."""
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    octets = [key if isinstance(key, bytes) else key.public_bytes(*form) for key in keys]
    return [signature.VerifyKey.load(each) for each in octets]


@dataclass(frozen=True, repr=False)
class Peer(Party):
    """A party whose certificate is in a file for the xmlsec1 program."""

    folder: Path


@dataclass(frozen=True, repr=False)
class Forge:
    """Makes genuine and forged messages."""

    upstream: Peer
    stranger: Peer
    broker: Peer
    older: Peer  # the broker's previous decryption key

    @property
    def decryption(self) -> DecryptionKeys:
        """The broker's current and previous decryption keys."""
        return DecryptionKeys.load([self.broker.private, self.older.private])

    def assertion(self, value: str = "nurse@au.dk", name: str = "a1") -> str:
        """Return an unsigned assertion with one attribute value, inserted as XML."""
        kind = "" if value.startswith("<") else ' xsi:type="xs:string"'
        return (_ASSERTION % (kind, value)).replace('"a1"', f'"{name}"')

    def response(self, value: str = "nurse@au.dk", *, extensions: str = "", detail: str = "", after: str = "") -> Any:
        """Return an unsigned Response with an assertion; the other parts are inserted where the schema allows them."""
        return etree.fromstring(_RESPONSE % (extensions, detail, self.assertion(value) + after))

    def bare(self, extensions: str = "", detail: str = "") -> Any:
        """Return an unsigned Response without an assertion."""
        return etree.fromstring(_RESPONSE % (extensions, detail, ""))

    def sign_response(self, response: Any | None = None, *, whole: bool = False, both: bool = False) -> Any:
        """Return a Response signed by the upstream: its assertion, the whole of it, or both."""
        root = self.response() if response is None else response
        if both or not whole:
            signature.sign(root.find(ASSERTION), self.upstream.key)
        if both or whole:
            signature.sign(root, self.upstream.key)
        return root

    def sign(
        self,
        element: Any,
        *,
        key: xmlsec.Key | None = None,
        method: str = MORE + "rsa-sha256",
        digest: str = SHA256,
        c14n: str = EXCLUSIVE,
        transforms: Sequence[str] = (DS + "enveloped-signature", EXCLUSIVE),
        uris: Sequence[str] = ("#a1",),
    ) -> Any:
        """Sign ``element`` with these algorithms, transforms and references, and return it."""
        written = "".join(
            each if each.startswith("<") else f'<ds:Transform Algorithm="{each}"/>' for each in transforms
        )
        parts = "".join(_REFERENCE % {"uri": uri, "transforms": written, "digest": digest} for uri in uris)
        made = etree.fromstring(_SIGNATURE % {"c14n": c14n, "method": method, "references": parts})
        element.insert(1, made)
        signing = xmlsec.SignatureContext()
        signing.key = key or self.upstream.xml
        for each in element.getroottree().iter(RESPONSE, ASSERTION):
            signing.register_id(each, "ID")
        signing.sign(made)
        return element

    def encrypt(
        self,
        plain: bytes,
        *,
        content: str = XENC11 + "aes256-gcm",
        transport: str = XENC + "rsa-oaep-mgf1p",
        inner: str = "",
        kind: str = XENC + "Element",
        to: Peer | None = None,
    ) -> Any:
        """Encrypt bytes to the broker with these algorithms; return the EncryptedAssertion."""
        made = etree.fromstring(_SEALED % {"content": content, "transport": transport, "inner": inner, "type": kind})
        recipient = xmlsec.KeysManager()
        recipient.add_key(signature.VerifyKey.load((to or self.broker).certificate).xml)
        closing = xmlsec.EncryptionContext(recipient)
        triple = "tripledes" in content
        size = 192 if triple else int(content.rpartition("aes")[2][:3])
        kinds = xmlsec.constants
        closing.key = xmlsec.Key.generate(
            kinds.KeyDataDes if triple else kinds.KeyDataAes, size, kinds.KeyDataTypeSession
        )
        closing.encrypt_binary(made[0], plain)
        return made

    def enclose(self, sealed: Any) -> Any:
        """Return an unsigned Response around an EncryptedAssertion."""
        root = self.bare()
        root.append(sealed)
        return root

    def receive(self, raw: bytes, *, allow_cbc: bool = False) -> Any:
        """Process a Response as an endpoint does; return the assertion that a signature covers."""
        root = safe_parser.parse(raw, RESPONSE)
        whole = root.find(SIGNATURE) is not None
        if whole:
            signature.verify(root, load_keys(self.upstream.certificate))
        sealed, assertion = root.find(ENCRYPTED_ASSERTION), root.find(ASSERTION)
        if sealed is not None:
            assertion = encryption.decrypt(sealed, self.decryption, allow_cbc=allow_cbc)
        if assertion is None:
            raise LookupError("no assertion")
        if not whole or assertion.find(SIGNATURE) is not None:
            signature.verify(assertion, load_keys(self.upstream.certificate))
        return assertion


def octets(element: Any) -> bytes:
    """Write a message as upstreams do."""
    return etree.tostring(element, encoding="utf-8")


def remove_signature(element: Any) -> Any:
    """Return a copy without its signature."""
    copy = deepcopy(element)
    for each in copy.findall(SIGNATURE):
        copy.remove(each)
    return copy


def _peer(folder: Path) -> Peer:
    folder.mkdir()
    made = key_ring.make_pair(folder.name, NOW, 2048)
    private, certificate = made.private, made.certificate
    (folder / "key.pem").write_bytes(private)
    (folder / "key.crt").write_bytes(certificate)
    return Peer(private, certificate, signature.SigningKey.load(private, certificate), folder)


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    """Return a message forge with keys that are made once a run."""
    folder = tmp_path_factory.mktemp("peers")
    return Forge(*(_peer(folder / name) for name in ("upstream", "stranger", "broker", "older")))
