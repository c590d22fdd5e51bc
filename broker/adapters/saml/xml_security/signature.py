"""Signs and verifies: XML signatures, and those of the Redirect binding over raw octets."""

import base64
import hashlib
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import xmlsec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from lxml import etree
from saml2 import xmldsig

from broker.adapters.saml.xml_security import signature_profile, written_message
from broker.adapters.saml.xml_security.algorithm_selection import DEFAULT_SIGNING, SigningAlgorithms
from broker.adapters.saml.xml_security.canonical_form import (
    canonicalize,
    copy_without,
    inclusive_prefixes,
)
from broker.adapters.saml.xml_security.xml_names import (
    DS,
    EXCLUSIVE,
    ISSUER,
    RSA_SHA256,
    SIGNATURE,
    SIGNED_INFO,
)
from broker.core.errors import MessageRefused

SMALLEST_RSA: Final = 2048
SMALLEST_EC: Final = 256
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_LAST_PART: Final = re.compile("[-#]")
_ELEMENT: Final = etree.XPath("id($name)")

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True, repr=False)
class VerifyKey:
    """A peer's public key, loaded once; equal keys are equal."""

    public: PublicKey
    xml: xmlsec.Key

    @classmethod
    @lru_cache(maxsize=256)
    def load(cls, octets: bytes) -> "VerifyKey":
        """Load the key of a certificate (PEM or DER), or a public key (PEM).

        The certificate's validity and issuer are ignored (SDP-MD06). Raises MessageRefused with
        ``xml.key`` if there is no key, or ``xml.weak_key`` below RSA 2048 or EC 256 (SDP-MD07).
        """
        public = _load_public_key(octets)
        if isinstance(public, rsa.RSAPublicKey):
            smallest = SMALLEST_RSA
        elif isinstance(public, ec.EllipticCurvePublicKey):
            smallest = SMALLEST_EC
        else:
            raise MessageRefused("xml.key")
        if public.key_size < smallest:
            raise MessageRefused("xml.weak_key")
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return cls(public, xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem))

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the SubjectPublicKeyInfo in hex, for people who compare keys."""
        der = self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """One of our RSA keys with its certificate, loaded once."""

    private: rsa.RSAPrivateKey
    certificate: str  # base64 of the DER form, for KeyInfo

    # Cached: OpenSSL checks an RSA key when it loads it, which takes as long as 70 signatures.
    @classmethod
    @lru_cache(maxsize=8)
    def load(cls, private: bytes, certificate: bytes) -> "SigningKey":
        """Load a PEM private key and its PEM certificate, as ``keys.key_ring`` has checked them."""
        key = load_pem_private_key(private, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("a signing key is an RSA key")
        der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
        return cls(key, base64.b64encode(der).decode())


def _load_public_key(octets: bytes) -> object:
    try:
        if octets.lstrip().startswith(b"-----BEGIN PUBLIC KEY-----"):
            return load_pem_public_key(octets)
        if octets.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_certificate(octets).public_key()
        return x509.load_der_x509_certificate(octets).public_key()
    except Exception:  # noqa: BLE001 - a peer's certificate may be anything
        raise MessageRefused("xml.key") from None


def verify(element: etree._Element, keys: Sequence[VerifyKey]) -> bytes:
    """Verify the signature of ``element`` and return the octets that it covers.

    The octets are ``element`` without its signature, in canonical form. Their digest is the
    verified DigestValue. The caller may trust nothing but these octets. ``keys`` are those of the
    expected peer; KeyInfo is not read. Raises MessageRefused with ``xml.unsigned``,
    ``xml.signatures``, ``xml.signature``, ``xml.signed_node``, ``xml.digest`` or a code of
    ``signature_profile.SHAPE``. Sources: saml-core 5.4, xmldsig-core 3.2,
    docs/reference/design.md#verify-keys.
    """
    signatures = element.findall(SIGNATURE)
    if not signatures:
        raise MessageRefused("xml.unsigned")
    if len(signatures) > 1:
        raise MessageRefused("xml.signatures")
    signature_profile.check_shape(signatures[0])
    if not any(_is_signed_by(element, signatures[0], key) for key in keys):
        raise MessageRefused("xml.signature")
    found = _ELEMENT(element, name=element.get("ID", ""))
    if found != [element]:
        raise MessageRefused("xml.signed_node")
    return _read_signed_octets(element, signatures[0])


def _read_signed_octets(element: etree._Element, signature: etree._Element) -> bytes:
    """Return the canonical octets of ``element``, after their digest was compared.

    xmlsec has verified a digest that it computed from its own tree. If the digest of our octets
    differs, they were not signed.
    """
    reference = signature.find(f"{SIGNED_INFO}/{{{DS}}}Reference")
    octets = canonicalize(copy_without(element), inclusive_prefixes(reference))
    if reference is None or not _has_digest(reference, octets):
        raise MessageRefused("xml.digest")
    return octets


def _has_digest(reference: etree._Element, octets: bytes) -> bool:
    """Return whether the DigestValue of a Reference is that of ``octets``."""
    method = reference.find(f"{{{DS}}}DigestMethod")
    if method is None:
        return False
    written = "".join((reference.findtext(f"{{{DS}}}DigestValue") or "").split())
    return _compute_digest(octets, method.get("Algorithm", "")) == written


def _compute_digest(octets: bytes, algorithm: str) -> str:
    digest = hashlib.new(find_hash(algorithm).name, octets).digest()
    return base64.b64encode(digest).decode()


def _is_signed_by(element: etree._Element, signature: etree._Element, key: VerifyKey) -> bool:
    """Return whether this key made the signature. xmlsec gets this key only."""
    try:
        verification = xmlsec.SignatureContext()
        verification.key = key.xml
        verification.register_id(element, "ID")
        verification.verify(signature)
    except Exception:  # noqa: BLE001 - an error verifies nothing (CVE-2022-41912)
        return False
    return True


def sign(
    element: etree._Element, key: SigningKey, algorithms: SigningAlgorithms = DEFAULT_SIGNING
) -> None:
    """Add an enveloped signature to ``element``, with exclusive c14n (saml-core 5.4).

    The schema sets its place: after Issuer, or first in metadata. Sign last, because any later
    change breaks the signature.
    """
    signature = deepcopy(_build_signature(algorithms))
    signed_info, value = signature
    reference = signed_info[-1]
    reference.set("URI", "#" + str(element.attrib["ID"]))
    reference[-1].text = _compute_digest(canonicalize(element), algorithms.digest)
    # Insert it before signing: lxml may rename its prefix to one that the element declares.
    element.insert(int(element.find(ISSUER) is not None), signature)
    raw = sign_bytes(canonicalize(signed_info), key, algorithms.method)
    value.text = base64.b64encode(raw).decode()
    signature.append(deepcopy(_key_info(key.certificate)))


# Cached: pysaml2 takes as long to write these as to write a Response, and they never change.
@lru_cache(maxsize=8)
def _key_info(certificate: str) -> etree._Element:
    written = xmldsig.X509Certificate(text=certificate)
    data = xmldsig.X509Data(x509_certificate=[written])
    return written_message.tree(xmldsig.KeyInfo(x509_data=[data]))


@lru_cache(maxsize=8)
def _build_signature(algorithms: SigningAlgorithms) -> etree._Element:
    """Return the ds:Signature template; the URI and the two values are still empty."""
    transforms = [
        xmldsig.Transform(algorithm=name) for name in (signature_profile.ENVELOPED, EXCLUSIVE)
    ]
    reference = xmldsig.Reference(
        transforms=xmldsig.Transforms(transform=transforms),
        digest_method=xmldsig.DigestMethod(algorithm=algorithms.digest),
        digest_value=xmldsig.DigestValue(),
    )
    signed_info = xmldsig.SignedInfo(
        canonicalization_method=xmldsig.CanonicalizationMethod(algorithm=EXCLUSIVE),
        signature_method=xmldsig.SignatureMethod(algorithm=algorithms.method),
        reference=[reference],
    )
    return written_message.tree(
        xmldsig.Signature(signed_info=signed_info, signature_value=xmldsig.SignatureValue())
    )


def sign_bytes(raw: bytes, key: SigningKey, sigalg: str = RSA_SHA256) -> bytes:
    """Sign octets with one of our RSA keys and an RSA algorithm of the allow-list.

    Raises ValueError for another algorithm. Source: saml-bindings 3.4.4.1.
    """
    if sigalg not in signature_profile.SIGNATURE_METHODS or "#rsa-" not in sigalg:
        raise ValueError("an RSA key signs with rsa-sha256, rsa-sha384 or rsa-sha512")
    return key.private.sign(raw, padding.PKCS1v15(), find_hash(sigalg))


def verify_bytes(raw: bytes, signature: bytes, sigalg: str, keys: Sequence[VerifyKey]) -> None:
    """Return only if ``signature`` over ``raw`` is by one of the keys (saml-bindings 3.4.4.1).

    Raises MessageRefused with ``xml.signature_method`` for an algorithm outside the allow-list, or
    with ``xml.signature``.
    """
    if sigalg not in signature_profile.SIGNATURE_METHODS:
        raise MessageRefused("xml.signature_method")
    if not any(_are_octets_signed_by(raw, signature, sigalg, key.public) for key in keys):
        raise MessageRefused("xml.signature")


def _are_octets_signed_by(raw: bytes, signature: bytes, sigalg: str, public: PublicKey) -> bool:
    """Return whether this key, of the kind that ``sigalg`` names, signed the octets."""
    try:
        if isinstance(public, rsa.RSAPublicKey) and "#rsa-" in sigalg:
            public.verify(signature, raw, padding.PKCS1v15(), find_hash(sigalg))
            return True
        if isinstance(public, ec.EllipticCurvePublicKey) and "#ecdsa-" in sigalg:
            return _is_ecdsa_signature_by(raw, signature, sigalg, public)
    except (InvalidSignature, ValueError):
        return False
    return False


def _is_ecdsa_signature_by(
    raw: bytes, signature: bytes, sigalg: str, public: ec.EllipticCurvePublicKey
) -> bool:
    """Verify concatenated r and s (xmldsig-core1 6.4.3). Raises InvalidSignature on failure."""
    half = (public.key_size + 7) // 8
    r = int.from_bytes(signature[:half], "big")
    s = int.from_bytes(signature[half:], "big")
    public.verify(encode_dss_signature(r, s), raw, ec.ECDSA(find_hash(sigalg)))
    return len(signature) == 2 * half


def find_hash(algorithm: str) -> hashes.HashAlgorithm:
    """Return the hash of a signature or digest method of the allow-list (by its last part)."""
    name = _LAST_PART.split(algorithm)[-1]
    return _HASHES[name]
