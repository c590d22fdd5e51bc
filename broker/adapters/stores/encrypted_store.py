"""Encryption of a store: values are sealed with keys that can be rotated."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core.ports import Kept, Key, NewerRelease, RecordUnreadable, Store, Write
from broker.core.retention import RecordKind

SCHEMA: Final = 1
_NONCE_BYTES: Final = 12
_ID_AT: Final = 2  # after the octet of the schema and that of the id's length


class EncryptedStore(Store):
    """A store whose values are encrypted with AES-256-GCM.

    A value is a schema octet, the length of the key id, the key id, a nonce and the ciphertext.
    ``kind/group/name`` is authenticated, so a record that was moved to another key does not open.
    The record's key (an HMAC), version, times and counters are not encrypted. Replay is not
    detected: an earlier value of the same record still decrypts. A lease has no value and is not
    encrypted.

    Source: docs/reference/design.md#sealing, NIST SP 800-38D.
    """

    def __init__(self, store: Store, keys: Mapping[str, bytes], write_key_id: str) -> None:
        """Encrypt the values of ``store``.

        All ``keys`` read, each of 32 octets; ``write_key_id`` is the id of the one that writes.
        """
        self._store = store
        self._ciphers = {key_id.encode(): AESGCM(key) for key_id, key in keys.items()}
        self._write_key_id = write_key_id.encode()

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":
        """Return the decrypted records.

        RecordUnreadable if the key of one is unknown or it was changed, NewerRelease if a newer
        release sealed it.
        """
        pairs = zip(keys, self._store.get_many(keys, now), strict=True)
        return [self._open(key, kept) if kept else None for key, kept in pairs]

    def put_many(
        self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False
    ) -> bool:
        """Compare and set all of them, encrypted with the writing key."""
        leading = self._seal_write(first)
        following = [self._seal_write(write) for write in others]
        return self._store.put_many(leading, following, now, durable=durable)

    def drop(self, key: Key) -> None:
        """Remove the record or counter if there is one."""
        self._store.drop(key)

    def list(
        self, kind: RecordKind, group: str | None, now: datetime
    ) -> Iterator[tuple[Key, Kept]]:
        """Yield the unexpired records, decrypted.

        Records that do not decrypt are skipped. At the end the error of the first of them is
        raised, so that a caller can use the others; a NewerRelease before any other.
        """
        unreadable: RecordUnreadable | NewerRelease | None = None
        for key, kept in self._store.list(kind, group, now):
            try:
                opened = self._open(key, kept)
            except NewerRelease as error:
                unreadable = error  # a deletion that leaves it out is not complete
            except RecordUnreadable as error:
                unreadable = unreadable or error
            else:
                yield key, opened
        if unreadable is not None:
            raise unreadable

    def claim(
        self, kind: RecordKind, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, Kept] | None:
        """Lease the earliest record due at ``now``; one that does not decrypt stays leased."""
        claimed = self._store.claim(kind, group, token, until, now)
        if claimed is None:
            return None
        key, kept = claimed
        return key, self._open(key, kept)

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add ``by`` to the counter, which is a number and not encrypted."""
        return self._store.count(key, by, until, now)

    def sweep(self, now: datetime) -> bool:
        """Remove some expired records; True if there may be more."""
        return self._store.sweep(now)

    def purge(self) -> Sequence[str]:
        """Remove dropped values from the files of the store; return what remains to be done."""
        return self._store.purge()

    def faults(self) -> Sequence[str]:
        """Return in sentences what makes the store unfit for production."""
        return self._store.faults()

    def warnings(self) -> Sequence[str]:
        """Return in sentences what an administrator should correct."""
        return self._store.warnings()

    def _seal_write(self, write: Write) -> Write:
        return Write(write.key, self._seal(write.key, write.kept), write.was)

    def _seal(self, key: Key, kept: Kept) -> Kept:
        if key.kind == "lease":
            return kept
        key_id = self._write_key_id
        head = bytes((SCHEMA, len(key_id))) + key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        authenticated = head + _place(key)
        ciphertext = self._ciphers[key_id].encrypt(nonce, kept.value, authenticated)
        return Kept(head + nonce + ciphertext, kept.version, kept.until, kept.due)

    def _open(self, key: Key, kept: Kept) -> Kept:
        if key.kind == "lease":
            return kept
        octets = kept.value
        schema = int.from_bytes(octets[:1])  # 0 for an empty value
        if schema > SCHEMA:
            raise NewerRelease(f"the seal of a {key.kind} record", schema, SCHEMA)
        if schema < SCHEMA:
            raise RecordUnreadable(f"{key.kind}: not sealed by a release", key)
        length = int.from_bytes(octets[1:_ID_AT])  # 0 if the value ends before it
        nonce_at = _ID_AT + length
        head = octets[:nonce_at]
        nonce = octets[nonce_at : nonce_at + _NONCE_BYTES]
        ciphertext = octets[nonce_at + _NONCE_BYTES :]
        cipher = self._ciphers.get(head[_ID_AT:])
        if cipher is None:
            raise RecordUnreadable(f"{key.kind}: sealed by a missing key", key)
        try:
            value = cipher.decrypt(nonce, ciphertext, head + _place(key))
        except (InvalidTag, ValueError):  # ValueError: the value ends before the nonce
            raise RecordUnreadable(f"{key.kind}: the seal is broken", key) from None
        return Kept(value, kept.version, kept.until, kept.due)


def _place(key: Key) -> bytes:
    # With lengths, because group "a/b" name "c" differs from group "a" name "b/c".
    place = b""
    for part in key:
        octets = part.encode()
        place += len(octets).to_bytes(4) + octets
    return place
