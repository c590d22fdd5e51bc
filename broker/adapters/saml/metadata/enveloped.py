"""The signature of a document that is read in pieces: verified at once, and at the end held against all of it."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from lxml import etree

from broker.adapters.saml.gate import shape, signature
from broker.adapters.saml.gate.names import DS, EXCLUSIVE, SIGNATURE, SIGNED_INFO
from broker.adapters.saml.metadata.pieces import PiecewiseC14n, canonical
from broker.core.errors import MessageRefused

_REFERENCE: Final = f"{SIGNED_INFO}/{{{DS}}}Reference"
_METHOD: Final = f"{SIGNED_INFO}/{{{DS}}}SignatureMethod"
_C14N: Final = f"{SIGNED_INFO}/{{{DS}}}CanonicalizationMethod"
_PREFIXES: Final = f"{{{EXCLUSIVE}}}InclusiveNamespaces"


class EnvelopedSignature:
    """A document whose signature has verified; whether it is over this document, ``holds`` will say."""

    def __init__(
        self, root: etree._Element, begun: bytes, keys: Sequence[signature.VerifyKey]
    ) -> None:
        """Take a root whose first child is whole, the document's octets up to there, and the keys that may have signed.

        ``MessageRefused``: ``feed.unsigned``, ``feed.signature``, ``feed.root``, ``gate.*`` of the
        signature's shape.
        """
        found = root[0]
        if found.tag != SIGNATURE:
            raise MessageRefused("feed.unsigned")
        if wrong := shape.signature_fault(found):
            raise MessageRefused(f"gate.{wrong}")
        _verify(found, keys)
        reference = found.find(_REFERENCE)
        self.expected = _decoded(reference, f"{{{DS}}}DigestValue")
        self._digest = hashlib.new(_algorithm(reference, f"{{{DS}}}DigestMethod"))
        self.pieces = PiecewiseC14n(root, begun, _prefixes(reference))
        self._digest.update(self.pieces.start)
        # The enveloped transform takes the element out and leaves the text around it.
        root.text = (root.text or "") + (found.tail or "")
        root.remove(found)

    def cut(self, children: Sequence[etree._Element]) -> bytes:
        """Give the canonical octets of children that have ended, count them as signed, and forget the elements."""
        octets = self.pieces.cut(children)
        self._digest.update(octets)
        return octets

    def holds(self) -> bool:
        """Say whether what went through is what was signed; only after all of it has."""
        self._digest.update(self.pieces.end)
        return self._digest.digest() == self.expected


def _verify(found: etree._Element, keys: Sequence[signature.VerifyKey]) -> None:
    """Return only if one of the keys signed this SignedInfo; KeyInfo is whoever's wrote it."""
    stated = found.find(SIGNED_INFO)
    if stated is None:
        raise MessageRefused("feed.unsigned")
    octets = canonical(stated, _prefixes(found.find(_C14N)))
    value = _decoded(found, f"{{{DS}}}SignatureValue")
    try:
        signature.verify_bytes(octets, value, _uri(found, _METHOD), keys)
    except MessageRefused:
        raise MessageRefused("feed.signature") from None


def _uri(element: etree._Element | None, path: str) -> str:
    found = None if element is None else element.find(path)
    return "" if found is None else found.get("Algorithm", "")


def _algorithm(element: etree._Element | None, path: str) -> str:
    """Give the name by which hashlib knows a digest of ``shape.DIGEST_METHODS``."""
    return _uri(element, path).rpartition("#")[2]


def _decoded(element: etree._Element | None, path: str) -> bytes:
    written = (element.findtext(path) if element is not None else None) or ""
    return base64.b64decode("".join(written.split()), validate=True)


def _prefixes(element: etree._Element | None) -> list[str]:
    """Give the prefixes that a canonicalisation treats as inclusive; their number is bounded by ``shape``.

    libxml2 does not know ``#default`` among them: such a feed is refused where it makes a
    difference.
    """
    listed: Iterator[etree._Element] = iter(()) if element is None else element.iter(_PREFIXES)
    return [prefix for each in listed for prefix in each.get("PrefixList", "").split()]
