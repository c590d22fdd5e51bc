"""Signs an element that is written as canonical text: one digest, one RSA operation, no tree."""

import base64
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes

from broker.adapters.saml.gate import signature, signature_profile
from broker.adapters.saml.gate.algorithm_selection import SigningAlgorithms
from broker.adapters.saml.gate.canonical_text import attribute
from broker.adapters.saml.gate.signature import SigningKey
from broker.adapters.saml.gate.xml_names import DS, EXCLUSIVE

_NAMESPACE: Final = f' xmlns:ds="{DS}"'
_TRANSFORMS: Final = (
    f'<ds:Transforms><ds:Transform Algorithm="{signature_profile.ENVELOPED}"></ds:Transform>'
    f'<ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform></ds:Transforms>'
)
_CANONICALIZATION: Final = (
    f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
)


@dataclass(frozen=True, slots=True, repr=False)
class Signable:
    """An element in exclusive canonical form, cut at the place of its signature, with its ID."""

    id: str
    before: str
    after: str

    @property
    def unsigned(self) -> str:
        """Return the element without a signature, for a binding that signs around it."""
        return self.before + self.after

    def signed(self, key: SigningKey, by: SigningAlgorithms) -> str:
        """Return the element with an enveloped signature, in canonical form too (saml-core 5.4)."""
        return f"{self.before}{self._signature(key, by)}{self.after}"

    def _signature(self, key: SigningKey, by: SigningAlgorithms) -> str:
        signed_info = self._signed_info(by)
        # Where it stands ds is declared around it, and its canonical form declares it itself.
        octets = f"<ds:SignedInfo{_NAMESPACE}>{signed_info}</ds:SignedInfo>".encode()
        value = base64.b64encode(signature.sign_bytes(octets, key, by.method)).decode()
        return (
            f"<ds:Signature{_NAMESPACE}><ds:SignedInfo>{signed_info}</ds:SignedInfo>"
            f"<ds:SignatureValue>{value}</ds:SignatureValue>"
            f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{key.certificate}</ds:X509Certificate>"
            "</ds:X509Data></ds:KeyInfo></ds:Signature>"
        )

    def _signed_info(self, by: SigningAlgorithms) -> str:
        """Return the content of SignedInfo."""
        digest = hashes.Hash(signature.hash_of(by.digest))
        digest.update(self.unsigned.encode())
        value = base64.b64encode(digest.finalize()).decode()
        return (
            f"{_CANONICALIZATION}"
            f"<ds:SignatureMethod{attribute('Algorithm', by.method)}></ds:SignatureMethod>"
            f"<ds:Reference{attribute('URI', f'#{self.id}')}>{_TRANSFORMS}"
            f"<ds:DigestMethod{attribute('Algorithm', by.digest)}></ds:DigestMethod>"
            f"<ds:DigestValue>{value}</ds:DigestValue></ds:Reference>"
        )
