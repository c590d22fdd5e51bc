"""``forgotten.log``: the deleted persons, outside what a restore of the store brings back."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.configuration import durable_files
from broker.core.entities import Names

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class ForgottenFile:
    """``forgotten.log`` in the state folder: a line of time and person id for each deletion."""

    state: Path

    def add(self, person_ids: Names, at: datetime) -> None:
        """Append one line for each person id; all are on the disk when this returns."""
        # Begin with a new line: the line before may have been cut short.
        lines = "".join(f"\n{at.isoformat()} {person_id}\n" for person_id in person_ids)
        descriptor = os.open(self._path, _APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(lines.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        durable_files.sync_folder(self.state)

    def read(self) -> Iterator[tuple[str, datetime]]:
        """Yield person id and time of each line.

        Skip a line that was cut short: its deletion was not confirmed.
        """
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="ascii").splitlines():
            at, _, person_id = line.partition(" ")
            try:
                yield person_id, datetime.fromisoformat(at)
            except ValueError:
                continue

    @property
    def _path(self) -> Path:
        return self.state / "forgotten.log"
