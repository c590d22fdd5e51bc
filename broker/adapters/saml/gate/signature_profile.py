"""What a ds:Signature must look like before anything is computed from it."""

import re
from collections.abc import Callable
from typing import Final

from lxml import etree

from broker.adapters.saml.gate.xml_names import DS, EXCLUSIVE, SIGNED_INFO

ENVELOPED: Final = DS + "enveloped-signature"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256: Final = _MORE + "rsa-sha256"
SIGNATURE_METHODS: Final = frozenset(
    (
        RSA_SHA256,
        _MORE + "rsa-sha384",
        _MORE + "rsa-sha512",
        _MORE + "ecdsa-sha256",
        _MORE + "ecdsa-sha384",
        _MORE + "ecdsa-sha512",
    )
)
DIGEST_METHODS: Final = frozenset(
    (
        "http://www.w3.org/2001/04/xmlenc#sha256",
        _MORE + "sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    )
)
# An NCName: nothing that could end the XPointer xmlsec builds from it.
_ID: Final = re.compile(r"[^\W\d][\w.\-]*")
_MOST_PREFIXES: Final = 16  # real signatures list one to five
_INCLUSIVE: Final = f"{{{EXCLUSIVE}}}InclusiveNamespaces"


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def _algorithm(signature: etree._Element, path: str) -> str:
    """Return the algorithm of the one element at ``path``, empty where there is none or several."""
    found = signature.findall(path)
    if len(found) != 1:
        return ""
    return found[0].get("Algorithm", "")


_METHOD: Final = f"{SIGNED_INFO}/{_ds('SignatureMethod')}"
_C14N: Final = f"{SIGNED_INFO}/{_ds('CanonicalizationMethod')}"
_REFERENCE: Final = f"{SIGNED_INFO}/{_ds('Reference')}"
_DIGEST: Final = f"{_REFERENCE}/{_ds('DigestMethod')}"
_TRANSFORM_IN_REFERENCE: Final = f"{_ds('Transforms')}/{_ds('Transform')}"
_TRANSFORM: Final = f"{_REFERENCE}/{_TRANSFORM_IN_REFERENCE}"


def _signed_infos(signature: etree._Element) -> bool:
    """Refuse two SignedInfos: one is verified, the other is read (CVE-2025-29774)."""
    return len(signature.findall(SIGNED_INFO)) != 1


def _object(signature: etree._Element) -> bool:
    """Refuse an Object: it can carry the genuine element while a forged one is read (wrapping)."""
    return signature.find(f".//{_ds('Object')}") is not None


def _references(signature: etree._Element) -> bool:
    """Refuse several References: which of them covers the element that is read is a guess."""
    return len(signature.findall(_REFERENCE)) != 1


def _reference(signature: etree._Element) -> bool:
    """Refuse a Reference to anything but the enclosing element.

    It is a genuine signature over something else.
    """
    parent = signature.getparent()
    if parent is None:
        return True
    name = parent.get("ID", "")
    if not _ID.fullmatch(name):
        return True
    references = signature.findall(_REFERENCE)
    return not all(reference.get("URI") == f"#{name}" for reference in references)


def _canonicalization(signature: etree._Element) -> bool:
    """Refuse another canonicalisation: it can make two documents look alike to the signature."""
    return _algorithm(signature, _C14N) != EXCLUSIVE


def _transforms(signature: etree._Element) -> bool:
    """Refuse XSLT, XPath and base64: they choose what is signed, or run code.

    Source: XMLDSig best practices 1-4.
    """
    for reference in signature.findall(_REFERENCE):
        transforms = reference.findall(_TRANSFORM_IN_REFERENCE)
        algorithms = [transform.get("Algorithm") for transform in transforms]
        if algorithms != [ENVELOPED, EXCLUSIVE]:
            return True
    return False


def _digest(signature: etree._Element) -> bool:
    """Refuse SHA-1 and MD5, which have collisions."""
    digests = signature.findall(_DIGEST)
    return any(digest.get("Algorithm") not in DIGEST_METHODS for digest in digests)


def _method(signature: etree._Element) -> bool:
    """Refuse HMAC, whose secret would be the public key, SHA-1, MD5 and none (CVE-2021-21239)."""
    return _algorithm(signature, _METHOD) not in SIGNATURE_METHODS


def _parameters(signature: etree._Element) -> bool:
    """Refuse all but a list of prefixes within an algorithm.

    HMACOutputLength truncates a signature (CVE-2009-0217).
    """
    without_parameters = [*signature.findall(_METHOD), *signature.findall(_DIGEST)]
    if any(len(algorithm) for algorithm in without_parameters):
        return True
    canonicalizations = [*signature.findall(_C14N), *signature.findall(_TRANSFORM)]
    return not all(_lists_prefixes_only(algorithm) for algorithm in canonicalizations)


def _lists_prefixes_only(algorithm: etree._Element) -> bool:
    """Return whether an algorithm has no parameter but the prefixes of exclusive c14n."""
    if len(algorithm) and algorithm.get("Algorithm") != EXCLUSIVE:
        return False
    return all(inner.tag == _INCLUSIVE and len(inner) == 0 for inner in algorithm)


def _prefixes(signature: etree._Element) -> bool:
    """Refuse long lists of prefixes.

    Every prefix is looked for at every element, 40 kB of them for half a minute.
    """
    count = 0
    for inclusive in signature.iter(_INCLUSIVE):
        count += len(inclusive.get("PrefixList", "").split())
    return count > _MOST_PREFIXES


SHAPE: Final[dict[str, Callable[[etree._Element], bool]]] = {
    "signed_infos": _signed_infos,
    "object": _object,
    "references": _references,
    "reference": _reference,
    "canonicalization": _canonicalization,
    "transforms": _transforms,
    "digest": _digest,
    "signature_method": _method,
    "signature_parameters": _parameters,
    "prefixes": _prefixes,
}


def signature_fault(signature: etree._Element) -> str | None:
    """Return the name of the first check that a signature fails, or None.

    Sources: xmldsig-core, saml-core 5.4.
    """
    return next((name for name, offends in SHAPE.items() if offends(signature)), None)
