"""Policies that each web worker has loaded: one file per worker, in the folder of the counts."""

import os
from collections.abc import Mapping
from typing import Final

from broker.adapters.observability.metrics import counting_folder

SHOWN: Final = 12  # characters of a digest that people see
_PREFIX: Final = "policies-"


def record(digest: str) -> None:
    """Record the digest of the policies that this worker uses; ignore a full disk.

    Call it in the worker: the file has the process id in its name.
    """
    folder = counting_folder()
    if folder is None:
        return
    own = folder / f"{_PREFIX}{os.getpid()}"
    shown = digest[:SHOWN]
    try:
        if own.exists() and own.read_text() == shown:
            return
        written = own.with_name(f".{own.name}")
        written.write_text(shown)
        written.rename(own)
    except OSError:
        return


def list_by_worker(digest: str) -> Mapping[str, str]:
    """Return the digests of all workers of this server by process id.

    ``digest`` is that of this process, which may be the only one.
    """
    found = {str(os.getpid()): digest[:SHOWN]}
    folder = counting_folder()
    for file in folder.glob(f"{_PREFIX}*") if folder else ():
        pid = file.name.removeprefix(_PREFIX)
        try:
            found.setdefault(pid, file.read_text())
        except OSError:
            continue  # the worker has ended
    return found


def drop_dead(pid: int) -> None:
    """Delete the file of a worker that has ended; OSError if the disk fails."""
    folder = counting_folder()
    if folder is not None:
        (folder / f"{_PREFIX}{pid}").unlink(missing_ok=True)
