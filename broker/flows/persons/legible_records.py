"""The records of a kind that can be read, past those that cannot: one of them stops nobody else."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from broker.core.ports import Kept, Key, RecordKind, RecordUnreadable, Store

T = TypeVar("T")


def legible(
    store: Store,
    kind: RecordKind,
    read: Callable[[Key, Kept], T],
    now: datetime,
    unread: list[Key] | None = None,
) -> Iterator[tuple[Key, Kept, T]]:
    """Yield every record of a kind that ``read`` can make a fact of, and add to ``unread``.

    Of those that the store itself cannot open the first is named. StoreUnavailable where the store
    does not answer.
    """
    missed: list[Key] = [] if unread is None else unread
    try:
        for key, kept in store.list(kind, None, now):
            try:
                fact = read(key, kept)
            except RecordUnreadable:
                missed.append(key)
            else:
                yield key, kept, fact
    except RecordUnreadable as error:
        missed.append(error.key or Key(kind, ""))
