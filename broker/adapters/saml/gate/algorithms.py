"""Which algorithms we write to a peer: the first of ours that its metadata lists, or those that everybody reads.

Sources: saml-metadata 2.4.1.1 and the algorithm support extension 1.0; saml_profiles.md rows 10 and
11.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from broker.adapters.saml.gate.signature_profile import RSA_SHA256
from broker.adapters.saml.gate.xml_names import MD, XENC, XENC11

_ALG: Final = "urn:oasis:names:tc:SAML:metadata:algsupport"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_METHOD: Final = f"{{{MD}}}EncryptionMethod"
# Ours; the first is taken where nothing is listed. Everything else is weaker, or needs another kind
# of key.
_CONTENTS: Final = (f"{XENC11}aes256-gcm", f"{XENC11}aes128-gcm")
_TRANSPORTS: Final = (f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep")
_SIGNATURES: Final = (RSA_SHA256, f"{_MORE}rsa-sha384", f"{_MORE}rsa-sha512")
_DIGESTS: Final = (f"{XENC}sha256", f"{_MORE}sha384", f"{XENC}sha512")

DescriptorFaults = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class EncryptionAlgorithms:
    """How content and its key are encrypted."""

    content: str = _CONTENTS[0]
    transport: str = _TRANSPORTS[0]


@dataclass(frozen=True, slots=True)
class SigningAlgorithms:
    """How a message is signed with one of our RSA keys."""

    method: str = _SIGNATURES[0]
    digest: str = _DIGESTS[0]


SEALED: Final = EncryptionAlgorithms()
SIGNED: Final = SigningAlgorithms()


def sealing(descriptor: etree._Element, faults: DescriptorFaults) -> EncryptionAlgorithms:
    """Choose by the EncryptionMethods of a KeyDescriptor; a list without any of ours is put into ``faults``."""
    listed = [each.get("Algorithm", "") for each in descriptor.findall(_METHOD)]
    content = _first(_CONTENTS, [each for each in listed if each.endswith(("-gcm", "-cbc"))])
    transport = _first(_TRANSPORTS, [each for each in listed if "#rsa-" in each])
    if content is None or transport is None:
        what = (
            "lists EncryptionMethods without AES-GCM"
            if content is None
            else "lists key transports without RSA-OAEP"
        )
        faults.append((what, "list aes256-gcm and rsa-oaep-mgf1p, or no EncryptionMethod at all"))
    return EncryptionAlgorithms(content or _CONTENTS[0], transport or _TRANSPORTS[0])


def signing(role: etree._Element, faults: DescriptorFaults) -> SigningAlgorithms:
    """Choose by the SigningMethods and DigestMethods of a role, or else of the entity around it."""
    method, digest = (_first(ours, _listed(role, name)) for name, ours in _NAMED.items())
    if method is None or digest is None:
        mend = "list rsa-sha256 and sha256, or no algorithm at all"
        faults.append(("lists signature algorithms, none of which we write", mend))
    return SigningAlgorithms(method or _SIGNATURES[0], digest or _DIGESTS[0])


_NAMED: Final = {"SigningMethod": _SIGNATURES, "DigestMethod": _DIGESTS}


def _listed(role: etree._Element, name: str) -> list[str]:
    entity = role.getparent()
    for element in (role, entity) if entity is not None else (role,):
        found = [
            each.get("Algorithm", "")
            for each in element.iterfind(f"{{{MD}}}Extensions/{{{_ALG}}}{name}")
        ]
        if found:
            return found
    return []


def _first(ours: Sequence[str], listed: Iterable[str]) -> str | None:
    known = list(listed)
    return next((each for each in ours if each in known), None) if known else ours[0]
