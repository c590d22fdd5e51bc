"""Remembers on this machine's disk which scopes institutions had while nobody else claimed them.

An attacker who can write here can at most decide between institutions that both claim a scope in
verified metadata; the notices of ``broker metadata check`` name every such dispute.
"""

import json
from pathlib import Path
from typing import Final

from broker.adapters.saml.metadata.published_scopes import Undisputed
from broker.configuration import durable_files

_LARGEST: Final = 1024 * 1024


class ScopeRecord:
    """The record, one file for all workers of a machine."""

    def __init__(self, path: Path) -> None:
        """Take the file, which is made when there is something to remember."""
        self._path = path

    def read(self) -> Undisputed:
        """Return what is remembered; nothing where the file is none of ours."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_LARGEST))
            return {str(name): frozenset(map(str, scopes)) for name, scopes in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def keep(self, undisputed: Undisputed) -> None:
        """Remember, if it is news; a disk that is full costs the memory only."""
        known = {name: scopes for name, scopes in undisputed.items() if scopes}
        if known == self.read():
            return
        written = {name: sorted(scopes) for name, scopes in sorted(known.items())}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable_files.put(self._path, json.dumps(written).encode())
        except OSError:
            return
