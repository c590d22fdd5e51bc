"""Decrypts assertions meant for us and encrypts those we send, with python-xmlsec in process.

Every algorithm is checked before anything is decrypted, since xmlsec decrypts RSA 1.5 unasked; the
session key and the content are decrypted in two steps with the one key given each time, so that
KeyInfo never chooses. Whatever fails after that is one cause, ``gate.decryption``: a difference
would answer an oracle (Jager and Somorovsky 2011).
"""

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast
from xml.sax.saxutils import quoteattr

import xmlsec
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from broker.adapters.saml.gate import safe_parser
from broker.adapters.saml.gate.algorithms import SEALED, EncryptionAlgorithms
from broker.adapters.saml.gate.signature import VerifyKey
from broker.adapters.saml.gate.xml_names import (
    ASSERTION,
    DS,
    ENCRYPTED_DATA,
    ENCRYPTED_KEY,
    SAML,
    XENC,
    XENC11,
)
from broker.core.errors import MessageRefused

_GCM: Final = frozenset(f"{XENC11}aes{size}-gcm" for size in (128, 192, 256))
_CBC: Final = frozenset(f"{XENC}aes{size}-cbc" for size in (128, 256))
_OAEP: Final = frozenset((XENC + "rsa-oaep-mgf1p", XENC11 + "rsa-oaep"))
_DIGESTS: Final = frozenset((DS + "sha1", XENC + "sha256"))
_MASKS: Final = frozenset((XENC11 + "mgf1sha1", XENC11 + "mgf1sha256"))
_MOST_KEYS: Final = 4  # one for each key we may have published
_METHOD: Final = f"{{{XENC}}}EncryptionMethod"
_KEY_INFO: Final = f"{{{DS}}}KeyInfo"
_TEMPLATE: Final = f"""<saml:EncryptedAssertion xmlns:saml="{SAML}"><xenc:EncryptedData xmlns:xenc="{XENC}" \
Type="{XENC}Element"><xenc:EncryptionMethod Algorithm="%s"/><ds:KeyInfo xmlns:ds="{DS}">\
<xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="%s"><ds:DigestMethod Algorithm="{DS}sha1"/>\
</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>\
<xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>"""
_START: Final = re.compile(
    rb"""\s*(?:<\?xml[^>]*\?>\s*)?<[^\s<>/"'=?!]+((?:\s+[^\s<>/"'=]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*/?>"""
)
_DECLARED: Final = re.compile(rb"""\sxmlns(?::([^\s=]+))?\s*=""")


@dataclass(frozen=True, slots=True, repr=False)
class DecryptionKeys:
    """Our decryption keys, loaded once and shared by all threads; several while one rolls over to the next."""

    private: tuple[xmlsec.Key, ...]

    @classmethod
    def of(cls, pems: Iterable[bytes]) -> "DecryptionKeys":
        """Load PEM private keys, the current one first."""
        return cls(
            tuple(xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem) for pem in pems)
        )


@dataclass(frozen=True, slots=True)
class EncryptedAssertion:
    """An EncryptedAssertion taken apart, as the checks see it."""

    whole: etree._Element
    content: list[etree._Element]  # EncryptedData, of which there must be one
    keys: list[etree._Element]  # EncryptedKey, within or beside it
    allow_cbc: bool


def _algorithms(elements: Iterable[etree._Element], path: str) -> set[str]:
    return {found.get("Algorithm", "") for each in elements for found in each.iterfind(path)}


def _encrypted_data(sealed: EncryptedAssertion) -> bool:
    """Refuse anything but one EncryptedData, of an element: content would be spliced into what stands around it."""
    return (
        len(sealed.content) != 1
        or sealed.content[0].get("Type", XENC + "Element") != XENC + "Element"
    )


def _encrypted_keys(sealed: EncryptedAssertion) -> bool:
    """Refuse no key, and so many that trying them is work done for an attacker."""
    return not 1 <= len(sealed.keys) <= _MOST_KEYS


def _content_method(sealed: EncryptedAssertion) -> bool:
    """Refuse CBC, which can be changed unnoticed, from peers not configured to need it; and 3DES from all."""
    allowed = _GCM | _CBC if sealed.allow_cbc else _GCM
    methods = [found for each in sealed.content for found in each.findall(_METHOD)]
    return len(methods) != 1 or methods[0].get("Algorithm") not in allowed


def _key_method(sealed: EncryptedAssertion) -> bool:
    """Refuse RSA 1.5, whose padding is an oracle (Bleichenbacher), and everything else but OAEP."""
    methods = [found for each in sealed.keys for found in each.findall(_METHOD)]
    return len(methods) != len(sealed.keys) or any(
        found.get("Algorithm") not in _OAEP for found in methods
    )


def _key_digest(sealed: EncryptedAssertion) -> bool:
    """Refuse digests and mask functions of OAEP that nobody publishes, and any other parameter of it."""
    inner = [
        part.tag for each in sealed.keys for method in each.findall(_METHOD) for part in method
    ]
    return (
        not _algorithms(sealed.keys, f"{_METHOD}/{{{DS}}}DigestMethod") <= _DIGESTS
        or not _algorithms(sealed.keys, f"{_METHOD}/{{{XENC11}}}MGF") <= _MASKS
        or not set(inner) <= {f"{{{DS}}}DigestMethod", f"{{{XENC11}}}MGF"}
    )


def _cipher_reference(sealed: EncryptedAssertion) -> bool:
    """Refuse ciphertext that lies elsewhere: fetching it is a request an attacker chooses."""
    return sealed.whole.find(f".//{{{XENC}}}CipherReference") is not None


def _retrieval_method(sealed: EncryptedAssertion) -> bool:
    """Refuse a key that lies elsewhere, for the same reason."""
    return sealed.whole.find(f".//{{{DS}}}RetrievalMethod") is not None


METHODS: Final[dict[str, Callable[[EncryptedAssertion], bool]]] = {
    "encrypted_data": _encrypted_data,
    "cipher_reference": _cipher_reference,
    "retrieval_method": _retrieval_method,
    "encrypted_keys": _encrypted_keys,
    "content_method": _content_method,
    "key_method": _key_method,
    "key_digest": _key_digest,
}


def decrypt(
    encrypted: etree._Element, keys: DecryptionKeys, *, allow_cbc: bool, within: str = ASSERTION
) -> etree._Element:
    """Give the Assertion, or another element, that is encrypted as the root of its own tree, passed through the gate.

    ``MessageRefused``: one of ``METHODS`` before decryption begins, ``gate.decryption`` for
    everything after it. The encryption says nothing about who sent it: verify a signature over it
    or within it. Source: xmlenc-core1.
    """
    content = encrypted.findall(ENCRYPTED_DATA)
    beside = encrypted.findall(ENCRYPTED_KEY)
    inside = [key for each in content for key in each.findall(f"{_KEY_INFO}/{ENCRYPTED_KEY}")]
    sealed = EncryptedAssertion(encrypted, content, [*inside, *beside], allow_cbc)
    for name, offends in METHODS.items():
        if offends(sealed):
            raise MessageRefused(f"gate.{name}")
    try:
        return safe_parser.parse(_within(_opened(sealed, keys), encrypted), within)
    except Exception:  # noqa: BLE001 - one cause, whatever failed
        raise MessageRefused("gate.decryption") from None


def _opened(sealed: EncryptedAssertion, keys: DecryptionKeys) -> bytes:
    for wrapped in sealed.keys:
        for private in keys.private:
            try:
                session = _decrypted(wrapped, private)
                return _decrypted(
                    sealed.content[0],
                    xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataAes, session),
                )
            except xmlsec.Error:  # another recipient's, or another slot's
                continue
    raise MessageRefused("gate.decryption")


def _decrypted(element: etree._Element, key: xmlsec.Key) -> bytes:
    """Decrypt with this key, which keeps xmlsec from KeyInfo, a copy of no Type, so that it parses nothing itself."""
    alone = deepcopy(element)
    alone.attrib.pop("Type", "")
    opening = xmlsec.EncryptionContext()
    opening.key = key
    return cast("bytes", opening.decrypt(alone))


def _within(plain: bytes, encrypted: etree._Element) -> bytes:
    """Declare the namespaces in scope that the plaintext does not: many encrypt a subtree without them."""
    start = _START.match(plain)
    if not start:
        raise MessageRefused("gate.decryption")
    declared = {prefix.decode() or None for prefix in _DECLARED.findall(start[1])}
    missing = {prefix: space for prefix, space in encrypted.nsmap.items() if prefix not in declared}
    written = "".join(
        f" xmlns:{prefix}={quoteattr(space)}" if prefix else f" xmlns={quoteattr(space)}"
        for prefix, space in missing.items()
    )
    return plain[: start.start(1)] + written.encode() + plain[start.start(1) :]


def encrypt(
    assertion: etree._Element, certificate: bytes, by: EncryptionAlgorithms = SEALED
) -> etree._Element:
    """Give an EncryptedAssertion: AES-GCM with a new key, RSA-OAEP for this certificate (SDP-ALG01).

    ``MessageRefused`` (``gate.key``, ``gate.weak_key``) where the certificate holds no RSA key of
    2048 bits.
    """
    # Parsed, not built by xmlsec: lxml does not find by name what xmlsec builds (other string
    # dictionary).
    sealed = etree.fromstring(_TEMPLATE % (by.content, by.transport))
    closing = xmlsec.EncryptionContext(_recipient(certificate))
    closing.key = xmlsec.Key.generate(
        xmlsec.constants.KeyDataAes,
        128 if "aes128" in by.content else 256,
        xmlsec.constants.KeyDataTypeSession,
    )
    # With every namespace in scope, since a value's xsi:type needs one that c14n would leave out.
    closing.encrypt_binary(
        sealed[0],
        etree.tostring(assertion, encoding="utf-8", xml_declaration=False, with_tail=False),
    )
    return sealed


@lru_cache(maxsize=256)
def _recipient(certificate: bytes) -> xmlsec.KeysManager:
    """Hold one recipient's key and no other, so that nothing can be encrypted for somebody else."""
    key = VerifyKey.of(certificate)
    if not isinstance(key.public, rsa.RSAPublicKey):
        raise MessageRefused("gate.key")
    holder = xmlsec.KeysManager()
    holder.add_key(key.xml)
    return holder
