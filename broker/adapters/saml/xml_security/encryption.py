"""Decrypts the assertions that we receive and encrypts those that we send, with python-xmlsec.

Every algorithm is checked before decryption begins, because xmlsec would also decrypt RSA 1.5. The
session key and the content are decrypted in two steps, each with the key that we pass, so that
KeyInfo never chooses a key. Every failure after the checks has the same reason code,
``xml.decryption``: different codes would be an oracle (Jager and Somorovsky 2011).
"""

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, cast

import xmlsec
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from saml2 import saml, xmldsig, xmlenc

from broker.adapters.saml.xml_security import safe_parser, written_message
from broker.adapters.saml.xml_security.algorithm_selection import (
    CBC,
    DEFAULT_ENCRYPTION,
    GCM,
    OAEP,
    EncryptionAlgorithms,
)
from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.adapters.saml.xml_security.xml_names import (
    ASSERTION,
    DS,
    ENCRYPTED_DATA,
    ENCRYPTED_KEY,
    KEY_INFO,
    XENC,
    XENC11,
)
from broker.adapters.saml.xml_security.xml_structure_checks import apply_checks
from broker.core.errors import MessageRefused

_GCM: Final = frozenset((*GCM, XENC11 + "aes192-gcm"))
_CBC: Final = frozenset(CBC)
_OAEP: Final = frozenset(OAEP)
_DIGESTS: Final = frozenset((DS + "sha1", XENC + "sha256"))
_MASKS: Final = frozenset((XENC11 + "mgf1sha1", XENC11 + "mgf1sha256"))
_MOST_KEYS: Final = 4  # one for each key we may have published
_KEY_TYPE: Final = XENC + "EncryptedKey"
_METHOD: Final = f"{{{XENC}}}EncryptionMethod"
_DIGEST_METHOD: Final = f"{{{DS}}}DigestMethod"
_MGF: Final = f"{{{XENC11}}}MGF"
_START: Final = re.compile(
    rb"""\s*(?:<\?xml[^>]*\?>\s*)?<[^\s<>/"'=?!]+((?:\s+[^\s<>/"'=]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*/?>"""
)
_DECLARED: Final = re.compile(rb"""\sxmlns(?::([^\s=]+))?\s*=""")


@dataclass(frozen=True, slots=True, repr=False)
class DecryptionKeys:
    """Our decryption keys, loaded once and shared by all threads; several during a rotation."""

    private: tuple[xmlsec.Key, ...]

    @classmethod
    def load(cls, pems: Iterable[bytes]) -> "DecryptionKeys":
        """Load PEM private keys, the current one first."""
        pem_format = xmlsec.constants.KeyDataFormatPem
        return cls(tuple(xmlsec.Key.from_memory(pem, pem_format) for pem in pems))


@dataclass(frozen=True)
class EncryptedAssertion:
    """The parts of an element that contains EncryptedData.

    ``allow_cbc`` is True if the sender needs AES-CBC and a verified signature covers the element.
    """

    whole: etree._Element
    allow_cbc: bool

    @cached_property
    def content(self) -> list[etree._Element]:
        """Return the EncryptedData, of which there must be one."""
        return self.whole.findall(ENCRYPTED_DATA)

    @cached_property
    def keys(self) -> list[etree._Element]:
        """Return the EncryptedKeys, inside the EncryptedData or next to it."""
        within = self.whole.findall(f"{ENCRYPTED_DATA}/{KEY_INFO}/{ENCRYPTED_KEY}")
        return [*within, *self.whole.findall(ENCRYPTED_KEY)]

    @property
    def content_methods(self) -> list[etree._Element]:
        """Return the EncryptionMethods of the content."""
        return [method for element in self.content for method in element.findall(_METHOD)]

    @property
    def key_methods(self) -> list[etree._Element]:
        """Return the EncryptionMethods of the keys."""
        return [method for key in self.keys for method in key.findall(_METHOD)]


def _is_not_one_element(encrypted: EncryptedAssertion) -> bool:
    """Refuse anything but one EncryptedData that contains a whole element.

    Encrypted content without its element would become part of the surrounding element.
    """
    if len(encrypted.content) != 1:
        return True
    element_type = XENC + "Element"
    return encrypted.content[0].get("Type", element_type) != element_type


def _has_wrong_key_count(encrypted: EncryptedAssertion) -> bool:
    """Refuse a message without a key, or with too many keys: each of them must be tried."""
    return not 1 <= len(encrypted.keys) <= _MOST_KEYS


def _has_weak_content_method(encrypted: EncryptedAssertion) -> bool:
    """Refuse 3DES, and refuse AES-CBC unless the peer needs it and a signature was verified.

    CBC does not detect changes, and the kind of failure reveals the content.
    """
    allowed = _GCM
    if encrypted.allow_cbc:
        allowed = _GCM | _CBC
    methods = encrypted.content_methods
    return len(methods) != 1 or methods[0].get("Algorithm") not in allowed


def _has_weak_key_method(encrypted: EncryptedAssertion) -> bool:
    """Refuse everything but OAEP: the padding of RSA 1.5 is an oracle (Bleichenbacher)."""
    methods = encrypted.key_methods
    if len(methods) != len(encrypted.keys):
        return True
    return any(method.get("Algorithm") not in _OAEP for method in methods)


def _has_unknown_key_parameter(encrypted: EncryptedAssertion) -> bool:
    """Refuse unusual digests and mask functions of OAEP, and any other parameter."""
    allowed = {_DIGEST_METHOD: _DIGESTS, _MGF: _MASKS}
    parameters = [parameter for method in encrypted.key_methods for parameter in method]
    return not all(
        parameter.get("Algorithm", "") in allowed.get(parameter.tag, ()) for parameter in parameters
    )


def _has_cipher_reference(encrypted: EncryptedAssertion) -> bool:
    """Refuse ciphertext at another address: the attacker would choose what we fetch."""
    return encrypted.whole.find(f".//{{{XENC}}}CipherReference") is not None


def _has_foreign_key_reference(encrypted: EncryptedAssertion) -> bool:
    """Refuse a key at another address.

    Shibboleth and .NET point to an EncryptedKey in the same element. The broker allows it,
    because it tries all keys in the element anyway.
    """
    own_keys = {f"#{key.get('Id')}" for key in encrypted.keys if key.get("Id")}
    for pointer in encrypted.whole.iter(f"{{{DS}}}RetrievalMethod"):
        if len(pointer) or pointer.get("Type") != _KEY_TYPE or pointer.get("URI") not in own_keys:
            return True
    return False


METHODS: Final[dict[str, Callable[[EncryptedAssertion], bool]]] = {
    "encrypted_data": _is_not_one_element,
    "cipher_reference": _has_cipher_reference,
    "retrieval_method": _has_foreign_key_reference,
    "encrypted_keys": _has_wrong_key_count,
    "content_method": _has_weak_content_method,
    "key_method": _has_weak_key_method,
    "key_digest": _has_unknown_key_parameter,
}


def decrypt(
    element: etree._Element, keys: DecryptionKeys, *, allow_cbc: bool, within: str = ASSERTION
) -> etree._Element:
    """Decrypt an Assertion, or another element, and return it as the root of a new tree.

    The message has passed XML security. ``within`` is the Clark name of the expected root. Raises
    MessageRefused with a code of ``METHODS`` before decryption begins, and with ``xml.decryption``
    for every later failure. Encryption proves nothing about the sender: verify a signature over the
    encrypted element or inside it. Source: xmlenc-core1.
    """
    encrypted = EncryptedAssertion(element, allow_cbc)
    apply_checks(METHODS, encrypted)
    try:
        plain = _decrypt_with_any_key(encrypted, keys)
        return safe_parser.parse(_declare_namespaces(plain, element), within)
    except Exception:  # noqa: BLE001 - one cause, whatever failed
        raise MessageRefused("xml.decryption") from None


def _decrypt_with_any_key(encrypted: EncryptedAssertion, keys: DecryptionKeys) -> bytes:
    """Return the content, by the first EncryptedKey that one of our keys opens."""
    for wrapped in encrypted.keys:
        for private in keys.private:
            try:
                return _decrypt_content(encrypted.content[0], _decrypt_element(wrapped, private))
            except xmlsec.Error:  # the key of another recipient
                continue
    raise MessageRefused("xml.decryption")


def _decrypt_content(encrypted_data: etree._Element, session_key: bytes) -> bytes:
    key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataAes, session_key)
    return _decrypt_element(encrypted_data, key)


def _decrypt_element(element: etree._Element, key: xmlsec.Key) -> bytes:
    """Decrypt a copy of ``element`` with ``key``, so that xmlsec does not read KeyInfo.

    The copy has no Type: otherwise xmlsec would parse the plaintext itself.
    """
    copy = deepcopy(element)
    copy.attrib.pop("Type", "")
    encryption = xmlsec.EncryptionContext()
    encryption.key = key
    return cast("bytes", encryption.decrypt(copy))


def _declare_namespaces(plain: bytes, element: etree._Element) -> bytes:
    """Add the namespace declarations of the surrounding element that the plaintext lacks.

    Many products encrypt a subtree without them.
    """
    start = _START.match(plain)
    if not start:
        raise MessageRefused("xml.decryption")
    declared = {prefix.decode() or None for prefix in _DECLARED.findall(start[1])}
    missing: Any = {name: uri for name, uri in element.nsmap.items() if name not in declared}
    # lxml writes them as the declarations of an empty element.
    declarations = etree.tostring(etree.Element("x", nsmap=missing))[2:-2]
    end = start.start(1)
    return plain[:end] + declarations + plain[end:]


def encrypt(
    assertion: etree._Element,
    certificate: bytes,
    algorithms: EncryptionAlgorithms = DEFAULT_ENCRYPTION,
) -> etree._Element:
    """Return an EncryptedAssertion of an element: AES with a new key, RSA-OAEP for that key.

    AES-CBC does not detect changes, so the Response around it must be signed. ``certificate`` is
    the recipient's. Raises ValueError for another algorithm, and MessageRefused (``xml.key``,
    ``xml.weak_key``) if the certificate has no RSA key of at least 2048 bits. Source: SDP-ALG01,
    xmlenc-core1 5.2 and 5.5.
    """
    if algorithms.content not in _GCM | _CBC:
        raise ValueError("only AES-GCM and AES-CBC are written")
    encryption = xmlsec.EncryptionContext(_load_recipient_key(certificate))
    size = 128 if "aes128" in algorithms.content else 256
    of_session = xmlsec.constants.KeyDataTypeSession
    encryption.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, size, of_session)
    encrypted = deepcopy(_build_encrypted_assertion(algorithms))
    # Not in canonical form: it would leave out the namespace that a value's xsi:type needs.
    plain = etree.tostring(assertion, encoding="utf-8", xml_declaration=False, with_tail=False)
    encryption.encrypt_binary(encrypted[0], plain)
    return encrypted


@lru_cache(maxsize=8)
def _build_encrypted_assertion(algorithms: EncryptionAlgorithms) -> etree._Element:
    """Return the EncryptedAssertion template; its two CipherValues are still empty."""
    digest = xmldsig.DigestMethod(algorithm=f"{DS}sha1")
    empty = xmlenc.CipherData(cipher_value=xmlenc.CipherValue())
    wrapped = xmlenc.EncryptedKey(
        encryption_method=xmlenc.EncryptionMethod(
            algorithm=algorithms.transport, extension_elements=[digest]
        ),
        cipher_data=empty,
    )
    encrypted_data = xmlenc.EncryptedData(
        type=f"{XENC}Element",
        encryption_method=xmlenc.EncryptionMethod(algorithm=algorithms.content),
        key_info=xmldsig.KeyInfo(extension_elements=[wrapped]),
        cipher_data=empty,
    )
    return written_message.tree(saml.EncryptedAssertion(encrypted_data=encrypted_data))


# A new KeysManager loads the certificates of the system, which takes 30 ms.
@lru_cache(maxsize=256)
def _load_recipient_key(certificate: bytes) -> xmlsec.KeysManager:
    key = VerifyKey.load(certificate)
    if not isinstance(key.public, rsa.RSAPublicKey):
        raise MessageRefused("xml.key")
    recipient = xmlsec.KeysManager()
    recipient.add_key(key.xml)
    return recipient
