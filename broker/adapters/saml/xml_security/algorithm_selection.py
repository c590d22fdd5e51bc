"""Selects the algorithms for a peer: the first supported one that its metadata lists.

Sources: saml-metadata 2.4.1.1 and the algorithm support extension 1.0;
docs/reference/saml-profiles.md#10 and #11.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from lxml import etree

from broker.adapters.saml.xml_security.signature_profile import RSA_SHA256
from broker.adapters.saml.xml_security.xml_names import MD, XENC, XENC11

ALGORITHM_SUPPORT: Final = "urn:oasis:names:tc:SAML:metadata:algsupport"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_METHOD: Final = f"{{{MD}}}EncryptionMethod"
# Supported algorithms. The first is the default for a peer that lists none. The broker refuses all
# others: they are weaker or need another kind of key.
_CONTENTS: Final = (
    f"{XENC11}aes128-gcm",
    f"{XENC11}aes256-gcm",
    # For services without AES-GCM. AES-CBC does not detect changes, so it is used only inside a
    # signed Response.
    f"{XENC}aes256-cbc",
    f"{XENC}aes128-cbc",
)
_TRANSPORTS: Final = (f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep")
_SIGNATURES: Final = (RSA_SHA256, f"{_MORE}rsa-sha384", f"{_MORE}rsa-sha512")
_DIGESTS: Final = (f"{XENC}sha256", f"{_MORE}sha384", f"{XENC}sha512")
_ENCRYPTION_FIX: Final = "list aes128-gcm and rsa-oaep-mgf1p, or no EncryptionMethod at all"
_SIGNING_FIX: Final = "list rsa-sha256 and sha256, or no algorithm at all"

DescriptorFaults = list[tuple[str, str]]
"""The faults of a descriptor, each with its fix."""


@dataclass(frozen=True, slots=True)
class EncryptionAlgorithms:
    """How content and its key are encrypted.

    ``listed`` are the content algorithms that the metadata lists.
    """

    content: str = _CONTENTS[0]
    transport: str = _TRANSPORTS[0]
    listed: tuple[str, ...] = ()

    def select_mode(self, mode: Literal["gcm", "cbc"]) -> "EncryptionAlgorithms":
        """Return a copy with a content algorithm of ``mode``.

        It is the first supported one that the peer lists, or else the first supported one.
        """
        ours = [name for name in _CONTENTS if name.endswith(mode)]
        listed = [name for name in ours if name in self.listed]
        return replace(self, content=(listed or ours)[0])


@dataclass(frozen=True, slots=True)
class SigningAlgorithms:
    """How a message is signed with one of our RSA keys."""

    method: str = _SIGNATURES[0]
    digest: str = _DIGESTS[0]


DEFAULT_ENCRYPTION: Final = EncryptionAlgorithms()
DEFAULT_SIGNING: Final = SigningAlgorithms()


def encryption_algorithms(
    descriptor: etree._Element, faults: DescriptorFaults
) -> EncryptionAlgorithms:
    """Choose by the EncryptionMethods of a KeyDescriptor.

    Add to ``faults`` if the list has no supported algorithm.
    """
    listed = [method.get("Algorithm", "") for method in descriptor.findall(_METHOD)]
    contents = [name for name in listed if name.endswith(("-gcm", "-cbc"))]
    transports = [name for name in listed if "#rsa-" in name]
    content = _first_supported(_CONTENTS, contents)
    transport = _first_supported(_TRANSPORTS, transports)
    if content is None:
        faults.append(("lists EncryptionMethods without AES-GCM or AES-CBC", _ENCRYPTION_FIX))
    elif transport is None:
        faults.append(("lists key transports without RSA-OAEP", _ENCRYPTION_FIX))
    return EncryptionAlgorithms(
        content or _CONTENTS[0], transport or _TRANSPORTS[0], tuple(contents)
    )


def signing_algorithms(role: etree._Element, faults: DescriptorFaults) -> SigningAlgorithms:
    """Choose by the SigningMethods and DigestMethods of a role, or else of the entity around it.

    Add to ``faults`` if a list has no supported algorithm.
    """
    method = _first_supported(_SIGNATURES, _find_listed(role, "SigningMethod"))
    digest = _first_supported(_DIGESTS, _find_listed(role, "DigestMethod"))
    if method is None or digest is None:
        faults.append(("lists signature algorithms, none of which we write", _SIGNING_FIX))
    return SigningAlgorithms(method or _SIGNATURES[0], digest or _DIGESTS[0])


def _find_listed(role: etree._Element, name: str) -> list[str]:
    """Return the algorithms of kind ``name`` that the role lists, or else its entity."""
    path = f"{{{MD}}}Extensions/{{{ALGORITHM_SUPPORT}}}{name}"
    for element in (role, role.getparent()):
        if element is None:
            continue
        found = [method.get("Algorithm", "") for method in element.iterfind(path)]
        if found:
            return found
    return []


def _first_supported(ours: Sequence[str], listed: Sequence[str]) -> str | None:
    """Return the first supported algorithm that is listed; the default for an empty list."""
    if not listed:
        return ours[0]
    return next((name for name in ours if name in listed), None)
