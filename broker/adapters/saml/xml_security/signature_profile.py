"""Checks the shape of a ds:Signature before anything is computed from it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Final

from lxml import etree

from broker.adapters.saml.xml_security.xml_names import (
    DS,
    EXCLUSIVE,
    INCLUSIVE,
    MORE,
    RSA_SHA256,
    SIGNED_INFO,
    XENC,
)
from broker.adapters.saml.xml_security.xml_structure_checks import apply_checks

ENVELOPED: Final = DS + "enveloped-signature"
SIGNATURE_METHODS: Final = frozenset(
    (
        RSA_SHA256,
        MORE + "rsa-sha384",
        MORE + "rsa-sha512",
        MORE + "ecdsa-sha256",
        MORE + "ecdsa-sha384",
        MORE + "ecdsa-sha512",
    )
)
DIGEST_METHODS: Final = frozenset((XENC + "sha256", MORE + "sha384", XENC + "sha512"))
# An NCName. It cannot end the XPointer that xmlsec builds from it.
_ID: Final = re.compile(r"[^\W\d][\w.\-]*")
_MOST_PREFIXES: Final = 16  # real signatures list one to five
# Where a verifier reads the parts of a signature.
_METHOD: Final = f"{SIGNED_INFO}/{{{DS}}}SignatureMethod"
_C14N: Final = f"{SIGNED_INFO}/{{{DS}}}CanonicalizationMethod"
_REFERENCE: Final = f"{SIGNED_INFO}/{{{DS}}}Reference"
_DIGEST: Final = f"{{{DS}}}DigestMethod"
_TRANSFORM: Final = f"{{{DS}}}Transforms/{{{DS}}}Transform"
_OBJECT: Final = f".//{{{DS}}}Object"


@dataclass(frozen=True, slots=True)
class SignatureParts:
    """The parts of a ds:Signature that the checks read, in document order."""

    signature: etree._Element
    signed_infos: list[etree._Element]
    canonicalizations: list[etree._Element]
    methods: list[etree._Element]
    references: list[etree._Element]
    digests: list[etree._Element]
    transforms: list[list[etree._Element]]  # of every reference

    @classmethod
    def find(cls, signature: etree._Element) -> "SignatureParts":
        """Find the parts of a signature, at the places where a verifier reads them."""
        references = signature.findall(_REFERENCE)
        return cls(
            signature=signature,
            signed_infos=signature.findall(SIGNED_INFO),
            canonicalizations=signature.findall(_C14N),
            methods=signature.findall(_METHOD),
            references=references,
            digests=signature.findall(f"{_REFERENCE}/{_DIGEST}"),
            transforms=[reference.findall(_TRANSFORM) for reference in references],
        )


def _algorithm(found: list[etree._Element]) -> str:
    """Return the algorithm of the only element; empty if there are none or several."""
    if len(found) != 1:
        return ""
    return found[0].get("Algorithm", "")


def _has_not_one_signed_info(parts: SignatureParts) -> bool:
    """Refuse two SignedInfos: one could be verified and the other one read (CVE-2025-29774)."""
    return len(parts.signed_infos) != 1


def _has_object(parts: SignatureParts) -> bool:
    """Refuse an Object: it can carry the genuine element while a forged one is read (wrapping)."""
    return parts.signature.find(_OBJECT) is not None


def _has_not_one_reference(parts: SignatureParts) -> bool:
    """Refuse several References: a reader could not know which of them covers the element."""
    return len(parts.references) != 1


def _refers_elsewhere(parts: SignatureParts) -> bool:
    """Refuse a Reference to anything but the enclosing element.

    It would be a genuine signature over another element.
    """
    parent = parts.signature.getparent()
    if parent is None:
        return True
    name = parent.get("ID", "")
    if not _ID.fullmatch(name):
        return True
    return not all(reference.get("URI") == f"#{name}" for reference in parts.references)


def _has_other_canonicalization(parts: SignatureParts) -> bool:
    """Refuse another canonicalisation: two different documents could have the same digest."""
    return _algorithm(parts.canonicalizations) != EXCLUSIVE


def _has_other_transforms(parts: SignatureParts) -> bool:
    """Refuse XSLT, XPath and base64: they choose what is signed, or run code.

    Source: XMLDSig best practices 1-4.
    """
    for transforms in parts.transforms:
        algorithms = [transform.get("Algorithm") for transform in transforms]
        if algorithms != [ENVELOPED, EXCLUSIVE]:
            return True
    return False


def _has_weak_digest(parts: SignatureParts) -> bool:
    """Refuse SHA-1 and MD5, which have collisions."""
    return any(digest.get("Algorithm") not in DIGEST_METHODS for digest in parts.digests)


def _has_weak_method(parts: SignatureParts) -> bool:
    """Refuse HMAC, whose secret would be the public key, SHA-1, MD5 and none (CVE-2021-21239)."""
    return _algorithm(parts.methods) not in SIGNATURE_METHODS


def _has_parameters(parts: SignatureParts) -> bool:
    """Refuse every parameter of an algorithm except a list of prefixes.

    HMACOutputLength truncates a signature (CVE-2009-0217).
    """
    if any(len(algorithm) for algorithm in (*parts.methods, *parts.digests)):
        return True
    canonicalizations = [*parts.canonicalizations, *chain(*parts.transforms)]
    return not all(map(_lists_prefixes_only, canonicalizations))


def _lists_prefixes_only(algorithm: etree._Element) -> bool:
    """Return whether an algorithm has no parameter but the prefixes of exclusive c14n."""
    if len(algorithm) and algorithm.get("Algorithm") != EXCLUSIVE:
        return False
    return all(inner.tag == INCLUSIVE and len(inner) == 0 for inner in algorithm)


def _has_too_many_prefixes(parts: SignatureParts) -> bool:
    """Refuse long lists of prefixes.

    libxml2 looks for every prefix at every element: 40 kB of them took half a minute.
    """
    count = 0
    for inclusive in parts.signature.iter(INCLUSIVE):
        count += len(inclusive.get("PrefixList", "").split())
    return count > _MOST_PREFIXES


SHAPE: Final[dict[str, Callable[[SignatureParts], bool]]] = {
    "signed_infos": _has_not_one_signed_info,
    "object": _has_object,
    "references": _has_not_one_reference,
    "reference": _refers_elsewhere,
    "canonicalization": _has_other_canonicalization,
    "transforms": _has_other_transforms,
    "digest": _has_weak_digest,
    "signature_method": _has_weak_method,
    "signature_parameters": _has_parameters,
    "prefixes": _has_too_many_prefixes,
}


def check_shape(signature: etree._Element) -> SignatureParts:
    """Return the parts of a signature that passes every check.

    Raises MessageRefused with ``xml.<name>`` of SHAPE. Sources: xmldsig-core, saml-core 5.4.
    """
    parts = SignatureParts.find(signature)
    apply_checks(SHAPE, parts)
    return parts
