"""A store in memory whose every write is a turn of the worker that makes it, before or after which it may die."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broker.core.ports import Kept, Key, Store, Write, lease_of
from tests.plugins.taken_turns import befallen, present_worker

Watch = Callable[[Key, Kept | None, Kept], None]


@dataclass
class DyingStore(Store):
    """What a store promises, one write at a time; ``watch`` is called with each write that stands.

    A lease is written within the turn before it: its holder dies with it, and it ends by itself.
    """

    kept: dict[Key, Kept] = field(default_factory=dict)
    watch: Watch = lambda *_: None

    def get(self, key: Key, now: datetime) -> Kept | None:
        """Give what is kept and has not expired."""
        found = self.kept.get(Key(*key))
        return found if found and now < found.until else None

    def get_many(self, keys: Sequence[Key], now: datetime) -> "list[Kept | None]":
        """Give each."""
        return [self.get(key, now) for key in keys]

    def put(self, key: Key, kept: Kept, was: str | None, now: datetime, *, durable: bool = False) -> bool:
        """Write if the version is the expected one, or stands already."""
        del durable
        return bool(self._taken(Key(*key), lambda: self._put(Key(*key), kept, was, now)))

    def put_many(self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False) -> bool:
        """Write the first and, if it stands, the others, as a store does that has no turn for several."""
        if not self.put(*first, now, durable=durable):
            return False
        for write in others:
            self.put(*write, now, durable=durable)
        return True

    def drop(self, key: Key) -> None:
        """Forget."""
        self._taken(Key(*key), lambda: self.kept.pop(Key(*key), None))

    def list(self, kind: str, group: str | None, now: datetime) -> Iterator[tuple[Key, Kept]]:
        """List a kind, or a group of it, as of one moment."""
        found = [(key, kept) for key, kept in self.kept.items() if key.kind == kind and group in {None, key.group}]
        return iter([(key, kept) for key, kept in found if now < kept.until])

    def claim(
        self, kind: str, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, Kept] | None:
        """Lease what has been due longest."""
        due = [(kept.due, key) for key, kept in self.list(kind, group, now) if kept.due and kept.due <= now]
        for _, key in sorted(due):
            if self.get(lease_of(key), now) is None:
                self.kept[lease_of(key)] = Kept(b"", token, until)
                return key, self.kept[key]
        return None

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Count nothing: nobody here is limited."""
        del key, until, now
        return by

    def faults(self) -> tuple[str, ...]:
        """Find nothing wrong."""
        return ()

    def _put(self, key: Key, kept: Kept, was: str | None, now: datetime) -> bool:
        before = self.get(key, now)
        if (before.version if before else None) != was:
            return before is not None and before.version == kept.version
        self.kept[key] = kept
        self.watch(key, before, kept)
        return True

    @staticmethod
    def _taken(key: Key, effect: Callable[[], Any]) -> Any:
        worker = present_worker()
        if worker is None or key.kind == "lease":
            return effect()
        return befallen(worker, key.kind, effect)
