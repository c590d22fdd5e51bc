"""Check who may read the files of the keys folder."""

from pathlib import Path
from typing import Final

from broker.core.errors import Fault

_GROUP_AND_OTHERS: Final = 0o077  # mode bits that no file of the broker may have


def find_exposed_files(folder: Path) -> tuple[Fault, ...]:
    """Return a fault for the folder, and for every file in it, that its group or others may use.

    A folder that does not exist exposes nothing.
    """
    if not folder.is_dir():
        return ()
    return tuple(
        Fault(str(path), "is open to its group or others", f"chmod go= {path}")
        for path in [folder, *sorted(folder.rglob("*"))]
        if _is_exposed(path)
    )


def _is_exposed(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _GROUP_AND_OTHERS)
    except FileNotFoundError:  # a rotation renamed it meanwhile
        return False
