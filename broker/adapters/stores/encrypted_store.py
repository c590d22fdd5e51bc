"""Encryption of the values in a store, with keys that can be rotated."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core.ports import Key, NewerRelease, RecordUnreadable, Store, StoredRecord, Write
from broker.core.retention import RecordKind

SCHEMA: Final = 1
_NONCE_BYTES: Final = 12
_KEY_ID_AT: Final = 2  # after the octet of the schema and that of the id's length


class EncryptedStore(Store):
    """A store whose values are encrypted with AES-256-GCM.

    A value is a schema octet, the length of the encryption key's id, that id, a nonce and the
    ciphertext. The record key (kind, group and name) is authenticated, so a value that was copied
    to another record does not decrypt. The record key (an HMAC), version, times and counters
    are not encrypted. Replay is not detected: an earlier value of the same record still
    decrypts. A lease has no value and is not encrypted.

    Source: docs/reference/design.md#sealing, NIST SP 800-38D.
    """

    def __init__(self, store: Store, keys: Mapping[str, bytes], write_key_id: str) -> None:
        """Encrypt the values of ``store``.

        ``keys`` are the encryption keys by id, each of 32 octets. All of them decrypt; the one with
        the id ``write_key_id`` encrypts.
        """
        self._store = store
        self._ciphers = {key_id.encode(): AESGCM(key) for key_id, key in keys.items()}
        self._write_key_id = write_key_id.encode()

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[StoredRecord | None]":
        """Return the decrypted records.

        Raises RecordUnreadable if a record's encryption key is missing or its value was changed,
        and NewerRelease if a newer release encrypted it.
        """
        pairs = zip(keys, self._store.get_many(keys, now), strict=True)
        return [self._open(key, record) if record else None for key, record in pairs]

    def put_many(
        self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False
    ) -> bool:
        """Encrypt and write ``first``; only if it is stored, write each of ``others``."""
        leading = self._seal_write(first)
        following = [self._seal_write(write) for write in others]
        return self._store.put_many(leading, following, now, durable=durable)

    def drop(self, key: Key) -> None:
        """Remove the record or counter if there is one."""
        self._store.drop(key)

    def list(
        self, kind: RecordKind, group: str | None, now: datetime
    ) -> Iterator[tuple[Key, StoredRecord]]:
        """Yield the unexpired records, decrypted.

        Records that do not decrypt are skipped, so that a caller can use the others. At the end the
        error of one of them is raised: a NewerRelease if there is one, else the first error. A
        caller that deletes records must know about records of a newer release, because it cannot
        delete them.
        """
        unreadable: RecordUnreadable | NewerRelease | None = None
        for key, record in self._store.list(kind, group, now):
            try:
                opened = self._open(key, record)
            except NewerRelease as error:
                unreadable = error
            except RecordUnreadable as error:
                unreadable = unreadable or error
            else:
                yield key, opened
        if unreadable is not None:
            raise unreadable

    def claim(
        self, kind: RecordKind, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, StoredRecord] | None:
        """Lease the earliest record due at ``now``. A record that does not decrypt stays leased."""
        claimed = self._store.claim(kind, group, token, until, now)
        if claimed is None:
            return None
        key, record = claimed
        return key, self._open(key, record)

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
        return Write(write.key, self._seal(write.key, write.record), write.expected_version)

    def _seal(self, key: Key, record: StoredRecord) -> StoredRecord:
        if key.kind == "lease":
            return record
        key_id = self._write_key_id
        head = bytes((SCHEMA, len(key_id))) + key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        authenticated = head + _encode_key(key)
        ciphertext = self._ciphers[key_id].encrypt(nonce, record.value, authenticated)
        return StoredRecord(head + nonce + ciphertext, record.version, record.until, record.due)

    def _open(self, key: Key, record: StoredRecord) -> StoredRecord:
        if key.kind == "lease":
            return record
        octets = record.value
        schema = int.from_bytes(octets[:1])  # 0 for an empty value
        if schema > SCHEMA:
            raise NewerRelease(f"the seal of a {key.kind} record", schema, SCHEMA)
        if schema < SCHEMA:
            raise RecordUnreadable(f"{key.kind}: not sealed by a release", key)
        length = int.from_bytes(octets[1:_KEY_ID_AT])  # 0 if the value ends before it
        nonce_at = _KEY_ID_AT + length
        head = octets[:nonce_at]
        nonce = octets[nonce_at : nonce_at + _NONCE_BYTES]
        ciphertext = octets[nonce_at + _NONCE_BYTES :]
        cipher = self._ciphers.get(head[_KEY_ID_AT:])
        if cipher is None:
            raise RecordUnreadable(f"{key.kind}: sealed by a missing key", key)
        try:
            value = cipher.decrypt(nonce, ciphertext, head + _encode_key(key))
        except (InvalidTag, ValueError):  # ValueError: the value ends before the nonce
            raise RecordUnreadable(f"{key.kind}: the seal is broken", key) from None
        return StoredRecord(value, record.version, record.until, record.due)


def _encode_key(key: Key) -> bytes:
    """Return a record key as bytes, which no other record key has."""
    # With lengths, because group "a/b" name "c" differs from group "a" name "b/c".
    encoded = b""
    for part in key:
        octets = part.encode()
        encoded += len(octets).to_bytes(4) + octets
    return encoded
