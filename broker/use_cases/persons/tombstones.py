"""That a person was forgotten, kept outside the store too: a backup put back forgets again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.core.entities import Names
from broker.core.ports import Kept, Key, RecordUnreadable, Store
from broker.core.retention.table import FORGOTTEN
from broker.use_cases.persons.legible_records import Unread, legible
from broker.use_cases.records import Records, load


@dataclass(frozen=True, slots=True, repr=False)
class Tombstone:
    """The time when a person was forgotten, and their person ids: keyed hashes, and no number."""

    at: datetime
    ids: Names

    @property
    def name(self) -> str:
        """Return what it is kept under: who comes again may be forgotten again."""
        return f"{min(self.ids)}-{self.at:%Y%m%dT%H%M%S}"


class TombstoneFile(Protocol):
    """The tombstones outside the store, which no backup of the store takes back."""

    def all(self) -> Iterable[Tombstone]:
        """Return every tombstone that is kept."""
        ...

    def add(self, stone: Tombstone) -> None:
        """Keep one more, through to the disk."""
        ...


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The tombstones in the store, for all machines, and in the file of this one."""

    store: Store
    file: TombstoneFile
    now: Callable[[], datetime]

    def keep(self, stone: Tombstone) -> None:
        """Keep a tombstone in both places, the file first: the store may be put back."""
        if stone.name not in {each.name for each in self.file.all()}:
            self.file.add(stone)
        self._keep_in_store(stone)

    def unknown_to_store(self) -> tuple[Tombstone, ...]:
        """Return those of the file that the store has not, as ``lost_by_store``.

        Those that another machine has kept in the store are added to the file.
        """
        filed = {each.name for each in self.file.all()}
        for name, stone in self._stored().items():
            if stone and name not in filed:
                self.file.add(stone)
        return self.lost_by_store()

    def lost_by_store(self) -> tuple[Tombstone, ...]:
        """Return those of the file that the store has not: it was put back, or emptied."""
        stored = self._stored()
        lost = [each for each in self._filed() if each.name not in stored]
        # Of those that do not open a list names some only.
        return tuple(each for each in lost if not self._is_stored(each))

    def last_lost(self) -> Tombstone | None:
        """Return the last of the file if the store has it not: a backup is older than it.

        None where the store has it, or nobody was forgotten. One record is read.
        """
        last = max(self._filed(), key=_age, default=None)
        if last is None or self._is_stored(last):
            return None
        return last

    def all(self) -> tuple[Tombstone, ...]:
        """Return those of the file and of the store."""
        stored = {name: stone for name, stone in self._stored().items() if stone}
        return tuple(({each.name: each for each in self.file.all()} | stored).values())

    def _filed(self) -> tuple[Tombstone, ...]:
        """Return those of the file that are to be kept still, each once."""
        now = self.now()
        filed = {each.name: each for each in self.file.all()}
        return tuple(each for each in filed.values() if FORGOTTEN.until(each.at) > now)

    def _keep_in_store(self, stone: Tombstone) -> None:
        now = self.now()
        self._records.add(Key("forgotten", stone.name), stone, FORGOTTEN.until(stone.at), now)

    def _is_stored(self, stone: Tombstone) -> bool:
        """Return whether the store has a tombstone: one that is damaged is there, too."""
        try:
            return self._records.get(Key("forgotten", stone.name), self.now()) is not None
        except RecordUnreadable:
            return True

    def _stored(self) -> dict[str, Tombstone | None]:
        """Return those of the store by name; None for one that is there and cannot be read."""
        unread = Unread()
        found = legible(self.store, "forgotten", _tombstone, self.now(), unread)
        known: dict[str, Tombstone | None] = {key.group: stone for key, _, stone in found}
        return known | {key.group: None for key in unread.keys}

    @property
    def _records(self) -> Records[Tombstone]:
        return Records(self.store, Tombstone, durable=True)


def _tombstone(_: Key, kept: Kept) -> Tombstone:
    return load(Tombstone, kept.value)


def _age(stone: Tombstone) -> datetime:
    return stone.at
