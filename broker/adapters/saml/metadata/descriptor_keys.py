"""Reads the keys in a role descriptor, and collects remarks about its faults."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.adapters.saml.xml_security.xml_names import DS, MD
from broker.core.errors import Fault, MessageRefused

_KEY: Final = f"{{{MD}}}KeyDescriptor"
_CERTIFICATE: Final = f".//{{{DS}}}X509Certificate"
_CHAIN: Final = "metadata.chain"
# The faults of a KeyDescriptor, by cause. In a chain, only one certificate has the key.
_KEY_FAULTS: Final = {
    "xml.key": "contains no readable certificate",
    "xml.weak_key": "holds a key below RSA 2048 or EC 256 bits",
    _CHAIN: "has a KeyDescriptor of several certificates",
}
_MOST: Final = 20  # remarks on one descriptor: a peer may cause thousands


@dataclass(slots=True)
class Remarks:
    """The remarks on one descriptor: ``faults`` prevent its use, ``notices`` do not.

    ``where`` is its file or feed.
    """

    where: str
    entity_id: str
    faults: list[Fault] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def add_fault(self, element: etree._Element, what: str, fix: str) -> None:
        """Add a fault at ``element`` that prevents the use of the descriptor."""
        fault = Fault(self.where, f"{self.entity_id} {what} ({_describe_place(element)})", fix)
        if len(self.faults) < _MOST and fault not in self.faults:
            self.faults.append(fault)

    def add_ignored(self, element: etree._Element, what: str) -> None:
        """Add a notice that a part of ``element`` is ignored."""
        place = _describe_place(element)
        notice = f"{self.where}: {self.entity_id} {what} ({place}), which is ignored"
        if len(self.notices) < _MOST and notice not in self.notices:
            self.notices.append(notice)


def _describe_place(element: etree._Element) -> str:
    """Return the name of an element and its line in the file: ``KeyDescriptor, line 12``."""
    name = str(element.tag).rpartition("}")[2]
    return f"{name}, line {element.sourceline}"


@dataclass(frozen=True, slots=True)
class DescriptorKey:
    """A usable key, its KeyDescriptor, and when its certificate expires."""

    descriptor: etree._Element
    certificate: bytes  # DER
    key: VerifyKey
    until: datetime | None


def read_keys(role: etree._Element, use: str, remarks: Remarks) -> list[DescriptorKey]:
    """Return the usable keys of a role for ``use``, "signing" or "encryption".

    A KeyDescriptor without use is for both (saml-metadata 2.4.1.1). If keys are listed and none is
    usable, the descriptor is faulty. Otherwise a service that wants encryption would get its
    assertions unencrypted.
    """
    usable: list[DescriptorKey] = []
    faulty: list[tuple[etree._Element, str]] = []
    for descriptor in role.findall(_KEY):
        if descriptor.get("use", use) != use:
            continue
        try:
            usable.append(_read_key(descriptor))
        except MessageRefused as refused:
            faulty.append((descriptor, _KEY_FAULTS[refused.cause]))
    for descriptor, what in faulty:
        if usable:
            remarks.add_ignored(descriptor, what)
        else:
            remarks.add_fault(descriptor, what, "ask for metadata with a valid key")
    return usable


def read_encryption_key(role: etree._Element, remarks: Remarks) -> DescriptorKey | None:
    """Return the first RSA key for encryption (we use RSA-OAEP); None if no key is listed."""
    listed = read_keys(role, "encryption", remarks)
    for found in listed:
        if isinstance(found.key.public, rsa.RSAPublicKey):
            return found
    if listed:
        descriptor = listed[0].descriptor
        remarks.add_fault(descriptor, "has an encryption key that is not RSA", "ask for an RSA key")
    return None


def find_last_end(keys: Sequence[DescriptorKey]) -> datetime | None:
    """Return when the last certificate expires; None if there is none, or one is unreadable.

    During a key rotation the older certificate may expire.
    """
    ends = [key.until for key in keys if key.until]
    if not ends or len(ends) < len(keys):
        return None
    return max(ends)


def _read_key(descriptor: etree._Element) -> DescriptorKey:
    """Read the key of a KeyDescriptor. Raises MessageRefused with a cause of ``_KEY_FAULTS``."""
    listed = {_decode(written) for written in descriptor.iterfind(_CERTIFICATE)}
    if len(listed) != 1:
        raise MessageRefused(_CHAIN)
    certificate = listed.pop()
    key = VerifyKey.load(certificate)
    return DescriptorKey(descriptor, certificate, key, _read_end(certificate))


def _read_end(certificate: bytes) -> datetime | None:
    """Return when a certificate expires, None if unreadable; this only leads to warnings."""
    try:
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc
    except (ValueError, OverflowError):
        return None


def _decode(certificate: etree._Element) -> bytes:
    """Return the DER of an X509Certificate; empty if it is not base64."""
    try:
        return base64.b64decode("".join((certificate.text or "").split()), validate=True)
    except ValueError:
        return b""
