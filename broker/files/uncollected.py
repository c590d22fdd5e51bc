"""Work that makes many objects and next to no garbage: nothing looks through them meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let nobody look for garbage in the block; what is referred to no more goes all the same.

    A collection looks through all there is, and holds the interpreter meanwhile: a third of the
    time of reading a thousand policy files, an eighth of that of importing a server.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
