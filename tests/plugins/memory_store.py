"""A store in memory without batch operations: it reads and writes records one after the other."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from broker.core.ports import Key, Store, StoredRecord, Write, lease_key


class MemoryStore(Store):
    """A store without faults. It counts nothing: limits have tests of their own."""

    def __init__(self) -> None:
        self.records: dict[Key, StoredRecord] = {}

    def get(self, key: Key, now: datetime) -> StoredRecord | None:
        """Give what is kept and has not expired."""
        found = self.records.get(key)
        return found if found and now < found.until else None

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[StoredRecord | None]":
        """Get the records one by one."""
        return [self.get(key, now) for key in keys]

    def put(
        self, key: Key, record: StoredRecord, expected_version: str | None, now: datetime, *, durable: bool = False
    ) -> bool:
        """Write if the version is the expected one."""
        del durable
        present = self.records.get(key)
        if (present.version if present and now < present.until else None) != expected_version:
            return False
        self.records[key] = record
        return True

    def put_many(self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False) -> bool:
        """Write the first record and, if that succeeds, the others."""
        if not self.put(*first, now, durable=durable):
            return False
        for write in others:
            self.put(*write, now, durable=durable)
        return True

    def drop(self, key: Key) -> None:
        """Forget."""
        self.records.pop(key, None)

    def list(self, kind: str, group: str | None, now: datetime) -> Iterator[tuple[Key, StoredRecord]]:
        """List the records of a group, or of all groups."""
        for key, record in list(self.records.items()):
            if key.kind == kind and group in {None, key.group} and now < record.until:
                yield key, record

    def claim(
        self, kind: str, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, StoredRecord] | None:
        """Give the record that has been due longest and is not leased."""
        due = [(record.due, key) for key, record in self.list(kind, group, now) if record.due and record.due <= now]
        free = [(at, key) for at, key in due if self.get(lease_key(key), now) is None]
        if not free:
            return None
        key = min(free)[1]
        self.records[lease_key(key)] = StoredRecord(b"", token, until)
        return key, self.records[key]

    def count(self, *_: object) -> int:
        """Count nothing."""
        return 1

    def faults(self) -> tuple[str, ...]:
        """Find nothing wrong."""
        return ()
