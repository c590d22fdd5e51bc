"""Reads the keys of a role descriptor; unsound ones are passed over beside good ones."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from broker.adapters.saml.xml_security.algorithm_selection import DescriptorFaults
from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.adapters.saml.xml_security.xml_names import DS, MD
from broker.core.errors import MessageRefused

_KEY: Final = f"{{{MD}}}KeyDescriptor"
_CERTIFICATE: Final = f".//{{{DS}}}X509Certificate"
_CHAIN: Final = "metadata.chain"
# What is wrong with a KeyDescriptor, by why it was refused. Of a chain the others are not its key.
_UNSOUND: Final = {
    "xml.key": "holds a certificate that is none",
    "xml.weak_key": "holds a key below RSA 2048 or EC 256 bits",
    _CHAIN: "has a KeyDescriptor of several certificates",
}
_MOST: Final = 20  # of one descriptor: a peer may write thousands, and all are somebody's to read


@dataclass(slots=True)
class Remarks:
    """The remarks on one descriptor.

    ``faults`` keep it from use; ``notices`` tell what was passed over beside something good.
    """

    faults: DescriptorFaults = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def fault(self, element: etree._Element, what: str, fix: str) -> None:
        """Add, once, what keeps the descriptor from use, with the place of ``element``."""
        fault = (f"{what} ({placed(element)})", fix)
        if len(self.faults) < _MOST and fault not in self.faults:
            self.faults.append(fault)

    def passed_over(self, element: etree._Element, what: str) -> None:
        """Add, once, what was passed over at ``element``."""
        notice = f"{what} ({placed(element)}), which is passed over"
        if len(self.notices) < _MOST and notice not in self.notices:
            self.notices.append(notice)


def placed(element: etree._Element) -> str:
    """Return the name of an element and its line in the file: ``KeyDescriptor, line 12``."""
    name = str(element.tag).rpartition("}")[2]
    return f"{name}, line {element.sourceline}"


@dataclass(frozen=True, slots=True)
class DescriptorKey:
    """A sound key, the KeyDescriptor that it stands in, and when its certificate ends."""

    descriptor: etree._Element
    certificate: bytes  # DER
    key: VerifyKey
    until: datetime | None


def sound_keys(role: etree._Element, use: str, remarks: Remarks) -> list[DescriptorKey]:
    """Return the sound keys of a role for ``use``, "signing" or "encryption".

    A KeyDescriptor without use is for both (saml-metadata 2.4.1.1). Where some are listed and none
    is sound the party is left out: a service would get in clear what it wants encrypted.
    """
    sound: list[DescriptorKey] = []
    unsound: list[tuple[etree._Element, str]] = []
    for descriptor in role.findall(_KEY):
        if descriptor.get("use", use) != use:
            continue
        try:
            sound.append(_key(descriptor))
        except MessageRefused as refused:
            unsound.append((descriptor, _UNSOUND[refused.cause]))
    for descriptor, what in unsound:
        if sound:
            remarks.passed_over(descriptor, what)
        else:
            remarks.fault(descriptor, what, "ask for metadata with a sound key")
    return sound


def encryption_key(role: etree._Element, remarks: Remarks) -> DescriptorKey | None:
    """Return the first RSA key to encrypt to: we write AES-GCM and RSA-OAEP.

    None where the service lists no key.
    """
    listed = sound_keys(role, "encryption", remarks)
    for found in listed:
        if isinstance(found.key.public, rsa.RSAPublicKey):
            return found
    if listed:
        descriptor = listed[0].descriptor
        remarks.fault(descriptor, "has an encryption key that is not RSA", "ask for an RSA key")
    return None


def last_end(keys: Sequence[DescriptorKey]) -> datetime | None:
    """Return when the last of the certificates ends; None where there is none, or one has no end.

    Of two that roll over the older may end.
    """
    ends = [key.until for key in keys if key.until]
    if not ends or len(ends) < len(keys):
        return None
    return max(ends)


def _key(descriptor: etree._Element) -> DescriptorKey:
    """Read the key of a KeyDescriptor; ``MessageRefused`` by the causes in ``_UNSOUND``."""
    listed = {_octets(written) for written in descriptor.iterfind(_CERTIFICATE)}
    if len(listed) != 1:
        raise MessageRefused(_CHAIN)
    certificate = listed.pop()
    key = VerifyKey.load(certificate)
    return DescriptorKey(descriptor, certificate, key, _end(certificate))


def _end(certificate: bytes) -> datetime | None:
    """Return when a certificate ends, None where that cannot be read: it decides nothing."""
    try:
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc
    except (ValueError, OverflowError):
        return None


def _octets(certificate: etree._Element) -> bytes:
    """Return the DER of an X509Certificate; empty where it is no base64."""
    try:
        return base64.b64decode("".join((certificate.text or "").split()), validate=True)
    except ValueError:
        return b""
