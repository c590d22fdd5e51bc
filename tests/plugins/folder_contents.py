"""Reads the folder of a program that runs: what the program removes meanwhile is left out."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOOKS: Final = 200


def read_folder_contents(folder: Path) -> Sequence[tuple[Path, bytes]]:
    """Give each file below a folder, with its octets.

    By the end of a look a database may have dropped its journal, and a file that was written anew has its name: what
    has gone by then may lie under a name that was not looked at, so that all is looked at again.
    """
    for _ in range(_LOOKS):
        paths = sorted(folder.rglob("*"))
        found = []
        for path in paths:
            with suppress(FileNotFoundError):
                if path.is_file():  # a pipe has no end
                    found.append((path, path.read_bytes()))
        if all(map(os.path.lexists, paths)):
            return found
    raise AssertionError(f"something goes away in {folder} whenever it is looked at")
