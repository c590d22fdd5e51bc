"""Which policies each web worker has loaded: a file of each, beside its counts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from broker.adapters.observability.metrics import counting_folder

SHOWN: Final = 12  # characters of a digest that people are shown
_BEGINNING: Final = "policies-"


def note(digest: str) -> None:
    """Note the digest of the policies that this process decides by; a disk that refuses is no loss.

    To be called in the worker: what is noted before a fork is another process's.
    """
    folder = counting_folder()
    if folder is None:
        return
    own = folder / f"{_BEGINNING}{os.getpid()}"
    shown = digest[:SHOWN]
    try:
        if own.exists() and own.read_text() == shown:
            return
        written = own.with_name(f".{own.name}")
        written.write_text(shown)
        written.rename(own)
    except OSError:
        return


def by_worker(digest: str) -> Mapping[str, str]:
    """Return the digests of all workers of this server, by process id.

    ``digest`` is this process's own, which is all there is where it serves alone.
    """
    found = {str(os.getpid()): digest[:SHOWN]}
    folder = counting_folder()
    for file in folder.glob(f"{_BEGINNING}*") if folder else ():
        pid = file.name.removeprefix(_BEGINNING)
        try:
            found.setdefault(pid, file.read_text())
        except OSError:
            continue  # its worker has ended meanwhile
    return found


def drop_dead(pid: int) -> None:
    """Forget what a worker that has ended had loaded; OSError where the disk refuses."""
    folder = counting_folder()
    if folder is not None:
        Path(folder / f"{_BEGINNING}{pid}").unlink(missing_ok=True)
