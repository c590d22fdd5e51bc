"""The seal around a store: every value encrypted at rest, bound to its key, under keys that can be changed."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core.errors import ConfigurationFaults, Fault, StoreUnavailable
from broker.core.ports import Kept, Key, Store

SCHEMA: Final = 1
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LONGEST_ID: Final = 255


class EncryptedStore(Store):
    """A store whose values are AES-256-GCM: schema octet, key id, nonce, ciphertext (design 4b, NIST SP 800-38D).

    ``kind/group/name`` is authenticated, so a record that is moved to another key does not open.
    What is not sealed: the key itself (callers hand HMACs), version, times and counters; nor does
    the seal tell an old value from a new.
    """

    def __init__(self, store: Store, keys: Mapping[str, bytes], write_key_id: str) -> None:
        """Take the store, every 32-octet key that may read by its id, and the id of the one that writes.

        ConfigurationFaults where a key is not of that length, an id is empty, or the writing key is
        missing.
        """
        faults = [
            Fault(f"store key {name!r}", "is not of 32 octets")
            for name, key in keys.items()
            if len(key) != _KEY_BYTES
        ]
        faults += [
            Fault(f"store key {name!r}", "its id is not of 1 to 255 ASCII characters")
            for name in keys
            if not name.isascii() or not 0 < len(name) <= _LONGEST_ID
        ]
        if write_key_id not in keys:
            faults.append(Fault(f"store key {write_key_id!r}", "is to write and is not there"))
        if faults:
            raise ConfigurationFaults(faults)
        self._store = store
        self._ciphers = {name.encode(): AESGCM(key) for name, key in keys.items()}
        self._write_key_id = write_key_id.encode()

    def get(self, key: Key, now: datetime) -> Kept | None:
        """Give the record opened; StoreUnavailable if its key or schema is unknown or it was tampered with."""
        kept = self._store.get(key, now)
        return kept and self._opened(key, kept)

    def put(
        self, key: Key, kept: Kept, was: str | None, now: datetime, *, durable: bool = False
    ) -> bool:
        """Compare and set, sealed by the writing key."""
        return self._store.put(key, self._sealed(key, kept), was, now, durable=durable)

    def drop(self, key: Key) -> None:
        """Remove the record or counter if there is one."""
        self._store.drop(key)

    def list(self, kind: str, group: str | None, now: datetime) -> Iterator[tuple[Key, Kept]]:
        """Give the unexpired records opened."""
        for key, kept in self._store.list(kind, group, now):
            yield key, self._opened(key, kept)

    def claim(
        self, kind: str, group: str | None, version: str, lease: timedelta, now: datetime
    ) -> tuple[Key, Kept] | None:
        """Take the earliest record due at ``now``, opened; one that does not open stays leased."""
        claimed = self._store.claim(kind, group, version, lease, now)
        return claimed and (claimed[0], self._opened(*claimed))

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add ``by`` to the counter, which is not sealed: it holds a number only."""
        return self._store.count(key, by, until, now)

    def faults(self) -> Sequence[str]:
        """Say what makes the store beneath unfit for production."""
        return self._store.faults()

    def _sealed(self, key: Key, kept: Kept) -> Kept:
        name = self._write_key_id
        head = bytes((SCHEMA, len(name))) + name
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return kept._replace(
            value=head + nonce + self._ciphers[name].encrypt(nonce, kept.value, head + _place(key))
        )

    def _opened(self, key: Key, kept: Kept) -> Kept:
        octets = kept.value
        if octets[:1] != bytes((SCHEMA,)):
            raise StoreUnavailable(
                f"{key.kind}: sealed in a schema that this release does not know"
            )
        head = octets[: 2 + octets[1]] if len(octets) > 1 else octets
        cipher = self._ciphers.get(head[2:])
        if cipher is None:
            raise StoreUnavailable(f"{key.kind}: sealed by a key that is not there")
        nonce, rest = (
            octets[len(head) : len(head) + _NONCE_BYTES],
            octets[len(head) + _NONCE_BYTES :],
        )
        try:
            return kept._replace(value=cipher.decrypt(nonce, rest, head + _place(key)))
        except (InvalidTag, ValueError):  # ValueError: cut so short that no nonce is left
            raise StoreUnavailable(f"{key.kind}: the seal is broken") from None


def _place(key: Key) -> bytes:
    # Length-prefixed, for group "a/b" name "c" is not group "a" name "b/c".
    parts = (key.kind.encode(), key.group.encode(), key.name.encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
