"""Selects the algorithms for a peer: the first supported one, in our order, that it lists.

Sources: saml-metadata 2.4.1.1 and the algorithm support extension 1.0;
docs/reference/saml-profiles.md#10 and #11.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from broker.adapters.saml.xml_security.xml_names import MORE, RSA_SHA256, XENC, XENC11

# Supported algorithms, in our order of preference. The first is the default for a peer that lists
# none. The broker refuses all others: they are weaker or need another kind of key.
GCM: Final = (f"{XENC11}aes128-gcm", f"{XENC11}aes256-gcm")
# For services without AES-GCM. AES-CBC does not detect changes, so it is used only inside a signed
# Response.
CBC: Final = (f"{XENC}aes256-cbc", f"{XENC}aes128-cbc")
OAEP: Final = (f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep")
_CONTENT_ALGORITHMS: Final = (*GCM, *CBC)
_SIGNATURE_ALGORITHMS: Final = (RSA_SHA256, f"{MORE}rsa-sha384", f"{MORE}rsa-sha512")
_DIGEST_ALGORITHMS: Final = (f"{XENC}sha256", f"{MORE}sha384", f"{XENC}sha512")


@dataclass(frozen=True, slots=True)
class EncryptionAlgorithms:
    """How content and its key are encrypted.

    ``listed`` are the content algorithms that the metadata lists.
    """

    content: str = _CONTENT_ALGORITHMS[0]
    transport: str = OAEP[0]
    listed: tuple[str, ...] = ()

    @classmethod
    def select(cls, methods: Sequence[str]) -> "EncryptionAlgorithms | None":
        """Select by the EncryptionMethods of a KeyDescriptor; None if they are not supported."""
        listed_contents = [name for name in methods if name.endswith(("-gcm", "-cbc"))]
        content = _first_supported(_CONTENT_ALGORITHMS, listed_contents)
        transport = _first_supported(OAEP, [name for name in methods if "#rsa-" in name])
        if content is None or transport is None:
            return None
        return cls(content, transport, tuple(listed_contents))

    def select_mode(self, mode: Literal["gcm", "cbc"]) -> "EncryptionAlgorithms":
        """Return a copy with a content algorithm of ``mode``, which the administrator configured.

        It is the first supported one of this mode that the peer lists, or else the first supported
        one.
        """
        ours = [name for name in _CONTENT_ALGORITHMS if name.endswith(mode)]
        listed = [name for name in ours if name in self.listed]
        return replace(self, content=(listed or ours)[0])


@dataclass(frozen=True, slots=True)
class SigningAlgorithms:
    """How a message is signed with one of our RSA keys."""

    method: str = _SIGNATURE_ALGORITHMS[0]
    digest: str = _DIGEST_ALGORITHMS[0]

    @classmethod
    def select(cls, methods: Sequence[str], digests: Sequence[str]) -> "SigningAlgorithms | None":
        """Select by the methods that metadata lists; None if they are not supported."""
        method = _first_supported(_SIGNATURE_ALGORITHMS, methods)
        digest = _first_supported(_DIGEST_ALGORITHMS, digests)
        if method is None or digest is None:
            return None
        return cls(method, digest)


DEFAULT_ENCRYPTION: Final = EncryptionAlgorithms()
DEFAULT_SIGNING: Final = SigningAlgorithms()


def _first_supported(ours: Sequence[str], listed: Sequence[str]) -> str | None:
    """Return the first supported algorithm that is listed; the default for an empty list."""
    if not listed:
        return ours[0]
    return next((name for name in ours if name in listed), None)
