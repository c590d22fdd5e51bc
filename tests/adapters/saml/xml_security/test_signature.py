"""Signatures: what we sign the xmlsec1 program verifies, and we verify only by the keys of the one peer expected."""

import ssl
import subprocess
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from broker.adapters.saml.xml_security import safe_parser, signature, signature_profile
from broker.adapters.saml.xml_security.xml_names import ASSERTION, AUTHN_REQUEST, DS, ISSUER, RESPONSE, SIGNATURE
from broker.core.errors import MessageRefused
from tests.plugins.saml_messages import MORE, REQUEST, SHA256, Forge, load_keys, octets, remove_signature

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


def xmlsec1(raw: bytes, forge: Forge, name: str) -> int:
    """Have the xmlsec1 program verify the signature at the element of that ID, and give its exit code."""
    path = forge.upstream.folder / "message.xml"
    path.write_bytes(raw)
    kinds = (RESPONSE, ASSERTION, AUTHN_REQUEST)
    ids = [part for kind in kinds for part in ("--id-attr:ID", kind.strip("{").replace("}", ":"))]
    xpath = f"//*[@ID='{name}']/*[local-name()='Signature']"
    command = ["xmlsec1", "--verify", *ids, "--node-xpath", xpath]
    key = ["--pubkey-cert-pem", str(forge.upstream.folder / "key.crt")]
    return subprocess.run([*command, *key, str(path)], capture_output=True, check=False).returncode


@pytest.mark.server
def test_a_request_is_signed_after_its_issuer(forge: Forge) -> None:
    """The place is the schema's, the certificate is in KeyInfo, and XML security lets it pass."""
    request = etree.fromstring(REQUEST)
    signature.sign(request, forge.upstream.key)
    found = safe_parser.parse(octets(request), request.tag)
    assert [child.tag for child in found] == [ISSUER, SIGNATURE]
    assert found.findtext(f".//{{{DS}}}X509Certificate") == forge.upstream.key.certificate
    assert xmlsec1(octets(request), forge, "q1") == 0


@pytest.mark.server
def test_a_prefix_that_the_element_has_for_the_namespace_of_signatures_is_kept(forge: Forge) -> None:
    """The octets that are signed are those that the peer sees."""
    request = etree.fromstring(REQUEST.replace(b" ID=", f' xmlns:q="{DS}" ID='.encode(), 1))
    signature.sign(request, forge.upstream.key)
    assert xmlsec1(octets(request), forge, "q1") == 0


@pytest.mark.attack(6, control=True)
@pytest.mark.profile(8)
def test_any_of_the_keys_will_do(forge: Forge) -> None:
    """A peer that rolls over signs with either of the keys it publishes, PEM, DER or public."""
    der = ssl.PEM_cert_to_DER_cert(forge.upstream.certificate.decode())
    public = forge.upstream.key.private.public_key()
    for key in (forge.upstream.certificate, der, public):
        found = safe_parser.parse(octets(forge.sign_response()), RESPONSE).find(ASSERTION)
        assert found is not None
        signature.verify(found, load_keys(forge.stranger.certificate, key))


@pytest.mark.attack(5)
def test_no_keys_verify_nothing(forge: Forge) -> None:
    """An upstream without a usable key has no valid signatures."""
    found = safe_parser.parse(octets(forge.sign_response()), RESPONSE).find(ASSERTION)
    assert found is not None
    with pytest.raises(MessageRefused, match=r"xml\.signature"):
        signature.verify(found, [])


@pytest.mark.attack(7, control=True)
@pytest.mark.parametrize("method", sorted(signature_profile.SIGNATURE_METHODS))
def test_every_allowed_method_verifies(method: str, forge: Forge) -> None:
    """The allow-list is what is really supported: RSA and ECDSA with SHA-256, SHA-384 and SHA-512."""
    private = ec.generate_private_key(ec.SECP256R1()) if "ecdsa" in method else forge.upstream.key.private
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)
    digest = SHA256 if "256" in method else MORE + "sha384"
    root = forge.sign(forge.response().find(ASSERTION), key=key, method=method, digest=digest).getroottree().getroot()
    found = safe_parser.parse(octets(root), RESPONSE).find(ASSERTION)
    assert found is not None
    signature.verify(found, load_keys(private.public_key()))
    with pytest.raises(MessageRefused, match=r"xml\.signature"):
        signature.verify(found, load_keys(forge.stranger.certificate))


@pytest.mark.attack(6)
@pytest.mark.parametrize(
    ("public", "cause"),
    [
        (lambda: rsa.generate_private_key(65537, 1024).public_key(), "xml.weak_key"),  # noqa: S505 - that is the test
        (lambda: ec.generate_private_key(ec.SECP192R1()).public_key(), "xml.weak_key"),
        (lambda: dsa.generate_private_key(1024).public_key(), "xml.key"),  # noqa: S505 - as that, and found quickly
        (lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "xml.key"),
        (lambda: b"", "xml.key"),
    ],
)
def test_weak_and_foreign_keys_are_refused(public: Callable[[], Any], cause: str) -> None:
    """A key below RSA 2048 or EC 256, of another kind, or none at all never verifies anything."""
    with pytest.raises(MessageRefused) as refusal:
        load_keys(public())
    assert refusal.value.cause == cause


@pytest.mark.attack(1)
@pytest.mark.parametrize(("fooled", "cause"), [(False, "xml.signature"), (True, "xml.signed_node")])
def test_the_node_found_by_its_id_is_the_one_that_was_asked_about(
    fooled: bool, cause: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two elements of one ID the first is found: verifying the other fails, even if xmlsec were fooled."""
    decoy: Any = etree.fromstring(octets(forge.sign_response()))
    assertion = decoy.find(ASSERTION)
    genuine = remove_signature(assertion)
    decoy.insert(1, genuine)
    xmlsec.tree.add_ids(genuine, ["ID"])
    if fooled:
        monkeypatch.setattr(signature, "_is_signed_by", lambda *_: True)
    with pytest.raises(MessageRefused) as refusal:
        signature.verify(assertion, load_keys(forge.upstream.certificate))
    assert refusal.value.cause == cause


def test_signatures_of_metadata_must_have_the_same_shape(forge: Forge) -> None:
    """Metadata is verified without XML security: two signatures, or one that chooses what it covers, are refused too."""
    assertion: Any = forge.sign_response().find(ASSERTION)
    assertion.insert(1, deepcopy(assertion.find(SIGNATURE)))
    with pytest.raises(MessageRefused, match=r"xml\.signatures"):
        signature.verify(assertion, load_keys(forge.upstream.certificate))
    chosen = forge.sign(forge.response().find(ASSERTION), transforms=(f"{DS}enveloped-signature", C14N))
    with pytest.raises(MessageRefused, match=r"xml\.transforms"):
        signature.verify(chosen, load_keys(forge.upstream.certificate))


@pytest.mark.attack(3)
def test_an_id_cannot_end_the_pointer_that_is_built_from_it(forge: Forge) -> None:
    """Xmlsec writes the ID into an XPointer expression; without the schema only our own pattern keeps quotes out."""
    assertion: Any = etree.fromstring(octets(forge.sign_response()).replace(b"a1", b"a1')|id('r1")).find(ASSERTION)
    with pytest.raises(MessageRefused, match=r"xml\.reference"):
        signature.verify(assertion, load_keys(forge.upstream.certificate))


@pytest.mark.parametrize("method", sorted(each for each in signature_profile.SIGNATURE_METHODS if "#rsa-" in each))
def test_octets_are_signed_and_verified(method: str, forge: Forge) -> None:
    """A signature over octets is good for these octets, this method and this key only."""
    made = signature.sign_bytes(b"SAMLRequest=x", forge.upstream.key, method)
    signature.verify_bytes(
        b"SAMLRequest=x", made, method, load_keys(forge.stranger.certificate, forge.upstream.certificate)
    )
    other = MORE + ("rsa-sha512" if method.endswith("sha256") else "rsa-sha256")
    for raw, sigalg, key in (
        (b"SAMLRequest=y", method, forge.upstream),
        (b"SAMLRequest=x", other, forge.upstream),
        (b"SAMLRequest=x", method, forge.stranger),
    ):
        with pytest.raises(MessageRefused, match=r"xml\.signature$"):
            signature.verify_bytes(raw, made, sigalg, load_keys(key.certificate))


@pytest.mark.attack(7)
@pytest.mark.parametrize(
    "method", [DS + "rsa-sha1", DS + "hmac-sha1", MORE + "hmac-sha256", MORE + "rsa-md5", "none", ""]
)
def test_octets_by_other_methods_are_refused(method: str, forge: Forge) -> None:
    """SHA-1, MD5, HMAC and none are refused before a key is touched, and never used to sign."""
    with pytest.raises(MessageRefused, match=r"xml\.signature_method"):
        signature.verify_bytes(b"x", b"y", method, load_keys(forge.upstream.certificate))
    with pytest.raises(ValueError, match="rsa-sha256"):
        signature.sign_bytes(b"x", forge.upstream.key, method)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_ecdsa_over_octets_is_r_and_s_side_by_side(curve: ec.EllipticCurve) -> None:
    """The form is that of XML signatures; the DER form that X.509 uses, or anything longer, is refused."""
    private = ec.generate_private_key(curve)
    der = private.sign(b"octets", ec.ECDSA(hashes.SHA256()))
    half = (private.key_size + 7) // 8
    r, s = decode_dss_signature(der)
    plain = r.to_bytes(half, "big") + s.to_bytes(half, "big")
    signature.verify_bytes(b"octets", plain, MORE + "ecdsa-sha256", load_keys(private.public_key()))
    for wrong in (der, plain[:half] + b"\0" + plain[half:], b""):
        with pytest.raises(MessageRefused, match=r"xml\.signature$"):
            signature.verify_bytes(b"octets", wrong, MORE + "ecdsa-sha256", load_keys(private.public_key()))


def test_keys_are_not_shown(forge: Forge) -> None:
    """No key material and no certificate is in what a log or a traceback would print."""
    assert forge.upstream.key.certificate not in repr(forge.upstream.key)
    assert "private=" not in repr(forge.upstream.key)


def test_a_key_of_another_kind_verifies_nothing(forge: Forge) -> None:
    """A peer may publish both kinds: each is held against its own methods, and the other is no error."""
    private = ec.generate_private_key(ec.SECP256R1())
    by_rsa = signature.sign_bytes(b"octets", forge.upstream.key)
    r, s = decode_dss_signature(private.sign(b"octets", ec.ECDSA(hashes.SHA256())))
    by_ec = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for made, method, other, own in (
        (by_rsa, MORE + "rsa-sha256", private.public_key(), forge.upstream.certificate),
        (by_ec, MORE + "ecdsa-sha256", forge.upstream.certificate, private.public_key()),
    ):
        signature.verify_bytes(b"octets", made, method, load_keys(other, own))
        with pytest.raises(MessageRefused, match=r"xml\.signature$"):
            signature.verify_bytes(b"octets", made, method, load_keys(other))
        renamed = MORE + ("ecdsa-sha256" if "#rsa-" in method else "rsa-sha256")
        with pytest.raises(MessageRefused, match=r"xml\.signature$"):
            signature.verify_bytes(b"octets", made, renamed, load_keys(own))


def test_a_signing_key_is_an_rsa_key(forge: Forge) -> None:
    """Another kind, which could not carry what our metadata promises, is no signing key."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError, match="RSA"):
        signature.SigningKey.load(pem, forge.upstream.certificate)
