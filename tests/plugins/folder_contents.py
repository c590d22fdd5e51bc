"""Reads all files of a folder while a program changes them."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOOKS: Final = 200


def read_folder_contents(folder: Path) -> Sequence[tuple[Path, bytes]]:
    """Return each file below a folder with its contents.

    Read the folder again if a file disappeared meanwhile: its contents may now be under a name that was not read, for
    example when a database has merged its journal.
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
    raise AssertionError(f"files in {folder} disappear during each attempt to read it")
