"""Keyed hashes that take the place of values that are not stored: CPR numbers, names, cookies."""

import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class LookupHmacs:
    """The index key, which is never rotated, and its id, which is part of every keyed hash.

    Source: docs/reference/design.md#sealing.
    """

    key_id: str
    key: bytes

    def compute(self, label: str, *parts: str) -> str:
        """Return ``key id + "." + 64 hex digits`` for ``parts`` under ``label``.

        Parts have a length prefix, so that ("ab", "c") and ("a", "bc") differ. A label separates
        the uses, so that the hash of one use reveals nothing in another.
        """
        message = b""
        for part in (label, *parts):
            octets = part.encode()
            length = len(octets).to_bytes(4, "big")
            message += length + octets
        mac = hmac.digest(self.key, message, "sha256")
        return f"{self.key_id}.{mac.hex()}"

    def matches(self, pseudonym: str, label: str, *parts: str) -> bool:
        """Return whether ``pseudonym`` is the hash of ``parts``, in constant time."""
        expected = self.compute(label, *parts)
        return hmac.compare_digest(pseudonym.encode(), expected.encode())
