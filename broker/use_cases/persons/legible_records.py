"""The records of a kind that can be read, past those that cannot: one of them stops nobody else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from broker.core.ports import Kept, Key, RecordKind, RecordUnreadable, Store

T = TypeVar("T")
# Of a kind: a release or a key that is gone may hide each of them.
_MOST_NAMED: Final = 20


@dataclass(slots=True)
class Unread:
    """What cannot be read: the keys of the first of each kind, and how many there are of it."""

    keys: list[Key] = field(default_factory=list)
    counts: dict[RecordKind, int] = field(default_factory=dict)

    @property
    def unnamed(self) -> int:
        """Return how many there are beside those that are named."""
        return sum(self.counts.values()) - len(self.keys)

    def add(self, key: Key) -> None:
        """Add one more."""
        count = self.counts.get(key.kind, 0)
        self.counts[key.kind] = count + 1
        if count < _MOST_NAMED:
            self.keys.append(key)

    def add_listed(self, kind: RecordKind, error: RecordUnreadable) -> None:
        """Add what the store itself could not open of a kind."""
        for key in (error.key or Key(kind, ""), *error.others):
            self.add(key)
        self.counts[kind] += error.unnamed


def legible(
    store: Store,
    kind: RecordKind,
    read: Callable[[Key, Kept], T],
    now: datetime,
    unread: Unread | None = None,
) -> Iterator[tuple[Key, Kept, T]]:
    """Yield every record of a kind that ``read`` can make a fact of, and add to ``unread``.

    StoreUnavailable where the store does not answer.
    """
    missed = Unread() if unread is None else unread
    try:
        for key, kept in store.list(kind, None, now):
            try:
                fact = read(key, kept)
            except RecordUnreadable:
                missed.add(key)
            else:
                yield key, kept, fact
    except RecordUnreadable as error:
        missed.add_listed(kind, error)
