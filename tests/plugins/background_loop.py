"""Runs the worker loop in a thread, so that queued work is done while a test makes requests."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from broker.core.retention import RecordKind
from broker.use_cases.storage.worker_loop import WakeSignal, run_worker_loop

# The kinds of records that the loop processes.
QUEUED: Final[tuple[RecordKind, ...]] = ("person", "mail")
PATIENCE: Final = 60.0  # seconds to wait for queued work, even on a busy machine
_IDLE: Final = 0.05


@contextmanager
def run_background_loop(
    wake: WakeSignal, steps: Sequence[Callable[[], object]], report: Callable[[Exception], None]
) -> Iterator[None]:
    """Run the loop while the block runs; ``report`` receives each exception of a step."""
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
