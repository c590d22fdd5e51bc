"""The file of a machine that says who was forgotten: a line a person, outside every store."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.files import durable_files
from broker.use_cases.persons.tombstones import Tombstone

_NAME: Final = "forgotten.jsonl"
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class StateTombstones:
    """The tombstones in the folder of the broker's state; OSError where it cannot be used."""

    state: Path

    def all(self) -> Iterator[Tombstone]:
        """Yield every tombstone; a line cut short by a crash is none, and is written again."""
        try:
            text = self._path.read_text(encoding="ascii")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            stone = _read(line)
            if stone is not None:
                yield stone

    def add(self, stone: Tombstone) -> None:
        """Append one line, through to the disk."""
        line = json.dumps({"at": stone.at.isoformat(), "ids": list(stone.ids)})
        descriptor = os.open(self._path, _APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            # The line before may have been cut short.
            file.write(f"\n{line}\n".encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        durable_files.synced(self.state)

    @property
    def _path(self) -> Path:
        return self.state / _NAME


def _read(line: str) -> Tombstone | None:
    try:
        written = json.loads(line)
        return Tombstone(datetime.fromisoformat(written["at"]), tuple(written["ids"]))
    except (ValueError, KeyError, TypeError):
        return None
