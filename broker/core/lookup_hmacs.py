"""Pseudonyms: keyed hashes of what is not kept: CPR numbers, eppns, cookies, assertion ids."""

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# One key is in service; a test or an analysis has a few beside it.
_MOST_KEYS: Final = 8


@dataclass(frozen=True, slots=True, repr=False)
class LookupHmacs:
    """The index key, never rotated in service, and its id, in every pseudonym.

    Source: docs/reference/design.md#sealing.
    """

    key_id: str
    key: bytes

    def compute(self, label: str, *parts: str) -> str:
        """Return ``key id + "." + 64 hex digits`` for ``parts`` under ``label``.

        Parts are length-prefixed, so that ("ab", "c") and ("a", "bc") differ; a label separates the
        uses, so that the pseudonym of one use reveals nothing in another.
        """
        message = b""
        for part in (label, *parts):
            octets = part.encode()
            length = len(octets).to_bytes(4, "big")
            message += length + octets
        mac = _keyed(self.key).copy()
        mac.update(message)
        return f"{self.key_id}.{mac.hexdigest()}"

    def matches(self, pseudonym: str, label: str, *parts: str) -> bool:
        """Return whether ``pseudonym`` is that of ``parts`` under ``label``, in constant time."""
        expected = self.compute(label, *parts)
        return hmac.compare_digest(pseudonym.encode(), expected.encode())

    def __repr__(self) -> str:
        """Name the key by its id only."""
        return f"LookupHmacs({self.key_id!r})"


# Setting a key up takes longer than all the rest of a pseudonym (measured), of which a login makes
# thirty.
@lru_cache(maxsize=_MOST_KEYS)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return the state of an HMAC with nothing in it, to be copied and never updated."""
    return hmac.new(key, digestmod=hashlib.sha256)
