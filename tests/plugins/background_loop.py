"""The loop that carries out, beside the requests of a test, what they have queued."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from broker.core.retention import RecordKind
from broker.use_cases.storage.worker_loop import WakeSignal, run_worker_loop

# What the loop does, each kind by a step of its own.
QUEUED: Final[tuple[RecordKind, ...]] = ("person", "mail")
PATIENCE: Final = 60.0  # seconds in which it does what a test waits for, though the machine is busy
_IDLE: Final = 0.05


@contextmanager
def run_background_loop(
    wake: WakeSignal, steps: Sequence[Callable[[], object]], report: Callable[[Exception], None]
) -> Iterator[None]:
    """Let the loop run while the block does; ``report`` hears what fails in it."""
    ending = threading.Event()
    turns = (steps, wake, ending.is_set, _IDLE, report)
    loop = threading.Thread(target=run_worker_loop, args=turns, daemon=True)
    loop.start()
    try:
        yield
    finally:
        ending.set()
        wake.set()
        loop.join(PATIENCE)
