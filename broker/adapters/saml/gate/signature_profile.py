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
    f"{_MORE}{kind}-{digest}"
    for kind in ("rsa", "ecdsa")
    for digest in ("sha256", "sha384", "sha512")
)
DIGEST_METHODS: Final = frozenset(
    (
        "http://www.w3.org/2001/04/xmlenc#sha256",
        _MORE + "sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    )
)
_ID: Final = re.compile(
    r"[^\W\d][\w.\-]*"
)  # an NCName: nothing that could end the XPointer xmlsec builds from it
_MOST_PREFIXES: Final = 16  # real signatures list one to five
_INCLUSIVE: Final = f"{{{EXCLUSIVE}}}InclusiveNamespaces"


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def _algorithm(signature: etree._Element, path: str) -> str:
    found = signature.findall(path)
    return found[0].get("Algorithm", "") if len(found) == 1 else ""


_METHOD: Final = f"{SIGNED_INFO}/{_ds('SignatureMethod')}"
_C14N: Final = f"{SIGNED_INFO}/{_ds('CanonicalizationMethod')}"
_REFERENCE: Final = f"{SIGNED_INFO}/{_ds('Reference')}"
_DIGEST: Final = f"{_REFERENCE}/{_ds('DigestMethod')}"
_TRANSFORM: Final = f"{_REFERENCE}/{_ds('Transforms')}/{_ds('Transform')}"


def _signed_infos(signature: etree._Element) -> bool:
    """Refuse two SignedInfos: one library verifies the first, another reads the second (CVE-2025-29774)."""
    return len(signature.findall(SIGNED_INFO)) != 1


def _object(signature: etree._Element) -> bool:
    """Refuse an Object: it can carry the genuine element while a forged one is read (signature wrapping)."""
    return signature.find(f".//{_ds('Object')}") is not None


def _references(signature: etree._Element) -> bool:
    """Refuse several References: which of them covers what is read is anybody's guess."""
    return len(signature.findall(_REFERENCE)) != 1


def _reference(signature: etree._Element) -> bool:
    """Refuse a Reference to anything but the enclosing element: a genuine signature over something else."""
    parent, found = signature.getparent(), signature.findall(_REFERENCE)
    name = parent.get("ID", "") if parent is not None else ""
    return not _ID.fullmatch(name) or not all(each.get("URI") == f"#{name}" for each in found)


def _canonicalization(signature: etree._Element) -> bool:
    """Refuse another canonicalisation: it can make two documents look alike to the signature."""
    return _algorithm(signature, _C14N) != EXCLUSIVE


def _transforms(signature: etree._Element) -> bool:
    """Refuse XSLT, XPath and base64: they choose what is signed, or run code (XMLDSig best practices 1-4)."""
    return any(
        [
            each.get("Algorithm")
            for each in reference.findall(f"{_ds('Transforms')}/{_ds('Transform')}")
        ]
        != [ENVELOPED, EXCLUSIVE]
        for reference in signature.findall(_REFERENCE)
    )


def _digest(signature: etree._Element) -> bool:
    """Refuse SHA-1 and MD5, which have collisions."""
    return any(each.get("Algorithm") not in DIGEST_METHODS for each in signature.findall(_DIGEST))


def _method(signature: etree._Element) -> bool:
    """Refuse HMAC, whose secret would be the public key, SHA-1, MD5 and none (CVE-2021-21239)."""
    return _algorithm(signature, _METHOD) not in SIGNATURE_METHODS


def _parameters(signature: etree._Element) -> bool:
    """Refuse all but a list of prefixes within an algorithm: HMACOutputLength truncates (CVE-2009-0217)."""
    plain = [*signature.findall(_METHOD), *signature.findall(_DIGEST)]
    listing = [*signature.findall(_C14N), *signature.findall(_TRANSFORM)]
    return any(len(each) for each in plain) or any(
        inner.tag != _INCLUSIVE or len(inner) or each.get("Algorithm") != EXCLUSIVE
        for each in listing
        for inner in each
    )


def _prefixes(signature: etree._Element) -> bool:
    """Refuse long lists of prefixes: each is looked for at each element, 40 kB of them for half a minute."""
    listed = [each.get("PrefixList", "").split() for each in signature.iter(_INCLUSIVE)]
    return sum(map(len, listed)) > _MOST_PREFIXES


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
    """Name the first thing wrong with a signature (xmldsig-core, saml-core 5.4), or give None."""
    return next((name for name, offends in SHAPE.items() if offends(signature)), None)
