"""Typed records in the store: they are read, added, replaced and amended by compare-and-set.

A record holds one frozen dataclass. Its bytes are one octet for the record version, then JSON.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import CoreConfig, SchemaValidator

from broker.core.errors import StoreUnavailable
from broker.core.ports import (
    Key,
    NewerRelease,
    RecordUnreadable,
    Store,
    StoredRecord,
    Write,
    lease_key,
)
from broker.core.retention import LEASE, RecordKind

T = TypeVar("T")

# Records of several types that one call of the store has read.
Reads = Mapping[Key, StoredRecord | None]

# The version of all records of this release (docs/reference/design.md#versions).
WRITES: Final = 2
# A compare-and-set that loses more often than this is a fault, not a race.
MOST_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Content(Generic[T]):
    """A value to be written, when its record expires, and when it is due if it is queued."""

    value: T
    until: datetime
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A value as it was read or written, with its key, version, expiry and due time."""

    key: Key
    value: T
    version: str
    until: datetime
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Amended(Generic[T]):
    """The record after ``Records.amend``, None if there is none, and whether it was written."""

    record: Record[T] | None
    written: bool


@dataclass(slots=True)
class Lease:
    """The right to carry out one queued record. One worker has it until it ends.

    A lease avoids double work. The work itself must be safe if it is done twice
    (docs/reference/design.md#4c).
    """

    store: Store
    key: Key
    token: str

    def renew(self, deadline: datetime, now: datetime) -> bool:
        """Renew the lease until 5 s after ``deadline``, the deadline of the next call.

        Return False if another worker has it by now.
        """
        return self._write_lease(LEASE.until(deadline), now)

    @classmethod
    def take(cls, store: Store, key: Key, deadline: datetime, now: datetime) -> "Lease | None":
        """Take the lease of this key, as ``Records.claim`` does; None if another worker has it."""
        lease = cls(store, key, _new_version())
        stored = StoredRecord(b"", lease.token, LEASE.until(deadline))
        return lease if store.put(key, stored, None, now) else None

    def end(self, now: datetime) -> None:
        """End the lease if it is ours. It expires by itself if the store does not answer."""
        with suppress(StoreUnavailable):
            self._write_lease(now, now)

    def _write_lease(self, until: datetime, now: datetime) -> bool:
        token = _new_version()
        held = self.store.put(self.key, StoredRecord(b"", token, until), self.token, now)
        if held:
            self.token = token
        return held


@dataclass(frozen=True, slots=True)
class Claimed(Generic[T]):
    """A record that was due, and the lease with which it was claimed."""

    record: Record[T]
    lease: Lease


@dataclass(frozen=True, slots=True)
class Records(Generic[T]):
    """The records of one type, a frozen dataclass, in the store.

    A write of ``durable`` records survives a power cut. Every method raises StoreUnavailable if the
    store does not answer, NewerRelease for a record of a newer release, and RecordUnreadable for a
    record that is damaged or too old.

    Source: docs/reference/design.md#4b.
    """

    store: Store
    fact: type[T]
    durable: bool = False

    def get(self, key: Key, now: datetime) -> Record[T] | None:
        """Return the record of ``key``; None if there is none or it has expired."""
        stored = self.store.get(key, now)
        if stored is None:
            return None
        return self._read(key, stored)

    def get_from(self, key: Key, reads: Reads) -> Record[T] | None:
        """Return the record of ``key`` in ``reads``. Raises KeyError if it was not read."""
        stored = reads[key]
        return self._read(key, stored) if stored else None

    def list(self, kind: RecordKind, group: str | None, now: datetime) -> Iterator[Record[T]]:
        """Return the unexpired records of a group, or of the whole kind if ``group`` is None."""
        for key, stored in self.store.list(kind, group, now):
            yield self._read(key, stored)

    def claim(self, kind: RecordKind, deadline: datetime, now: datetime) -> Claimed[T] | None:
        """Lease the record of a kind that has been due longest; None if none is due.

        The lease holds until 5 s after ``deadline``, the deadline of the first call that is made
        under it.
        """
        token = _new_version()
        claimed = self.store.claim(kind, None, token, LEASE.until(deadline), now)
        if claimed is None:
            return None
        lease = Lease(self.store, lease_key(claimed[0]), token)
        try:
            record = self._read(*claimed)
        except StoreUnavailable:
            # Another release wrote the record and can carry it out: do not make it wait.
            lease.end(now)
            raise
        return Claimed(record, lease)

    def add(self, key: Key, value: T, until: datetime, now: datetime) -> Record[T] | None:
        """Write a new record; None, with nothing written, if there is one already."""
        return self.write(key, Content(value, until), None, now)

    def put(self, key: Key, value: T, until: datetime, now: datetime) -> Record[T] | None:
        """Write ``value`` over any record; None if another process wrote at the same moment."""
        before = self.get(key, now)
        return self.write(key, Content(value, until), _version(before), now)

    def write(
        self,
        key: Key,
        content: Content[T],
        expected_version: str | None,
        now: datetime,
        others: Sequence[Write] = (),
    ) -> Record[T] | None:
        """Write if the stored version is ``expected_version`` (None: if there is no record).

        Return None if it is not. ``others`` are written in the same call of the store, only if this
        record is written.
        """
        draft = self.draft(key, content, expected_version)
        if not self.store.put_many(draft, others, now, durable=self.durable):
            return None
        return Record(key, content.value, draft.record.version, content.until, content.due)

    def draft(
        self,
        key: Key,
        content: Content[T],
        expected_version: str | None,
        version: str | None = None,
    ) -> Write:
        """Return the write for ``Store.put_many``.

        With a ``version`` that is not random, a write that is repeated after a crash finds its own
        version and counts as written.
        """
        octets = dump(content.value)
        stored = StoredRecord(octets, version or _new_version(), content.until, content.due)
        return Write(key, stored, expected_version)

    def amend(
        self,
        key: Key,
        change: Callable[[Record[T] | None], Content[T] | None],
        now: datetime,
        *,
        read: Record[T] | None = None,
        others: Sequence[Write] = (),
    ) -> Amended[T]:
        """Write the content that ``change`` returns for the present record.

        ``change`` is called with None if there is no record, and returns None to write nothing. If
        another process writes first, it is called again with the new record. Raises
        StoreUnavailable after ``MOST_TRIES`` attempts. ``read`` is the record if the caller has
        read it already. ``others`` as in ``write``.
        """
        record = read or self.get(key, now)
        for attempt in range(MOST_TRIES):
            if attempt:
                record = self.get(key, now)
            content = change(record)
            if content is None:
                return Amended(record, written=False)
            written = self.write(key, content, _version(record), now, others)
            if written:
                return Amended(written, written=True)
        raise StoreUnavailable(f"{self.fact.__name__} record kept changing")

    def drop(self, key: Key) -> None:
        """Remove the record if there is one."""
        self.store.drop(key)

    def _read(self, key: Key, stored: StoredRecord) -> Record[T]:
        value = load(self.fact, stored.value)
        return Record(key, value, stored.version, stored.until, stored.due)


def read_together(store: Store, keys: Sequence[Key], now: datetime) -> Reads:
    """Return the records of ``keys``, of any types, in one call of the store."""
    return dict(zip(keys, store.get_many(keys, now), strict=True))


def dump(fact: object) -> bytes:
    """Return the bytes of a frozen dataclass: one octet for the record version, then JSON."""
    kind: Any = type(fact)
    return bytes([WRITES]) + _adapter(kind).dump_json(fact)


def load(kind: type[T], octets: bytes) -> T:
    """Return the value that ``dump`` wrote.

    Raises NewerRelease for a record of a newer release, and RecordUnreadable for one that is
    damaged or too old.
    """
    version = int.from_bytes(octets[:1])  # 0 for an empty record
    if version > WRITES:
        raise NewerRelease(f"{kind.__name__} record", version, WRITES)
    if version < WRITES:
        raise RecordUnreadable(f"{kind.__name__} record of an earlier release, version {version}")
    of_kind: Any = kind
    try:
        fact: T = _validator(of_kind).validate_json(octets[1:])
    except ValidationError:
        # Do not chain the error: its message quotes the value, which may be personal.
        raise RecordUnreadable(f"{kind.__name__} record does not read") from None
    return fact


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@cache
def _validator(kind: Any) -> SchemaValidator:
    # By default pydantic keeps 16,384 strings of what it has read. They may be personal.
    return SchemaValidator(_adapter(kind).core_schema, CoreConfig(cache_strings="keys"))


def _version(record: Record[T] | None) -> str | None:
    return record.version if record else None


def _new_version() -> str:
    return secrets.token_hex(8)
