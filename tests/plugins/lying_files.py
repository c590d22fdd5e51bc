"""Reads the folder of a program that runs: what the program removes meanwhile is left out."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def lying_files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Give each file below a folder, with its octets."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():  # a pipe has no end
            continue
        # By now a database may have dropped its journal, and a file that was written anew has its name.
        with suppress(FileNotFoundError):
            yield path, path.read_bytes()
