"""Pause the garbage collector while many objects are made and few are freed."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

# Without a lock two threads could each leave it to the other to enable the collector again, and the
# memory of a server would grow.
_CHANGING: Final = Lock()


@contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Disable the cyclic garbage collector in the block; reference counting still frees objects.

    Collections took a third of the time of reading a thousand policy files, and an eighth of the
    time of importing a server.
    """
    with _CHANGING:
        collects = gc.isenabled()
        gc.disable()
    try:
        yield
    finally:
        if collects:
            with _CHANGING:
                gc.enable()
