"""A table of rows in memory with an index by value, for simulated library systems."""

from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Row = dict[str, Any]


class IndexedRows(MutableMapping[K, Row], Generic[K]):
    """Rows by key, in the order of insertion. ``values`` returns the indexed values of a row.

    Do not change a stored row: the index would be stale. Assign a new row instead.
    """

    def __init__(self, values: Callable[[Row], Iterable[Hashable]]) -> None:
        self._values = values
        self._rows: dict[K, Row] = {}
        self._keys: dict[Hashable, set[K]] = {}

    def having(self, value: Hashable) -> frozenset[K]:
        """Return the keys of the rows that have a value."""
        return frozenset(self._keys.get(value, ()))

    def __getitem__(self, key: K) -> Row:
        return self._rows[key]

    def __setitem__(self, key: K, row: Row) -> None:
        if key in self._rows:
            self._remove_from_index(key)
        self._rows[key] = row
        for value in self._values(row):
            self._keys.setdefault(value, set()).add(key)

    def __delitem__(self, key: K) -> None:
        self._remove_from_index(key)
        del self._rows[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _remove_from_index(self, key: K) -> None:
        for value in set(self._values(self._rows[key])):
            keys = self._keys[value]
            keys.discard(key)
            if not keys:
                del self._keys[value]
