"""Makes the disk slow for one folder of a Python program: what is synced there takes a while longer.

Python imports it by its name at every start where this folder is on ``PYTHONPATH``; ``SLOW_FOLDER`` and ``SLOW_MS`` say
which folder and how much longer.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def slowed(sync: Callable[[Any], None], folder: str, seconds: float) -> Callable[[Any], None]:
    """Return ``sync`` of a file descriptor, slow where its file lies in ``folder``."""

    def slow(descriptor: Any) -> None:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(folder):
            time.sleep(seconds)
        sync(descriptor)

    return slow


if "SLOW_FOLDER" in os.environ:
    seconds = float(os.environ["SLOW_MS"]) / 1000
    os.fdatasync = slowed(os.fdatasync, os.environ["SLOW_FOLDER"], seconds)  # type: ignore[assignment]
    os.fsync = slowed(os.fsync, os.environ["SLOW_FOLDER"], seconds)  # type: ignore[assignment]
