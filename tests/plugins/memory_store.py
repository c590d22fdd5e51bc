"""A store in memory without batch operations: it reads and writes records one after the other."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from broker.core.ports import Kept, Key, Store, Write, lease_key


class MemoryStore(Store):
    """A store without faults. It counts nothing: limits have tests of their own."""

    def __init__(self) -> None:
        self.kept: dict[Key, Kept] = {}

    def get(self, key: Key, now: datetime) -> Kept | None:
        """Give what is kept and has not expired."""
        found = self.kept.get(key)
        return found if found and now < found.until else None

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":
        """Get the records one by one."""
        return [self.get(key, now) for key in keys]

    def put(self, key: Key, kept: Kept, was: str | None, now: datetime, *, durable: bool = False) -> bool:
        """Write if the version is the expected one."""
        del durable
        present = self.kept.get(key)
        if (present.version if present and now < present.until else None) != was:
            return False
        self.kept[key] = kept
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
        self.kept.pop(key, None)

    def list(self, kind: str, group: str | None, now: datetime) -> Iterator[tuple[Key, Kept]]:
        """List the records of a group, or of all groups."""
        for key, kept in list(self.kept.items()):
            if key.kind == kind and group in {None, key.group} and now < kept.until:
                yield key, kept

    def claim(
        self, kind: str, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, Kept] | None:
        """Give the record that has been due longest and is not leased."""
        due = [(kept.due, key) for key, kept in self.list(kind, group, now) if kept.due and kept.due <= now]
        free = [(at, key) for at, key in due if self.get(lease_key(key), now) is None]
        if not free:
            return None
        key = min(free)[1]
        self.kept[lease_key(key)] = Kept(b"", token, until)
        return key, self.kept[key]

    def count(self, *_: object) -> int:
        """Count nothing."""
        return 1

    def faults(self) -> tuple[str, ...]:
        """Find nothing wrong."""
        return ()
