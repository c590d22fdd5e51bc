"""The loop of a worker: each kind of queued work in turn, and sleep when all are idle."""

from collections.abc import Callable, Sequence

from broker.use_cases.waiting_slots import WakeSignal


def run_worker_loop(
    steps: Sequence[Callable[[], object]],
    wake: WakeSignal,
    stop: Callable[[], bool],
    idle: float,
    report: Callable[[Exception], None],
) -> None:
    """Do what is due until ``stop``; sleep ``idle`` seconds, or until woken, when all is idle.

    A step does one thing that is due and returns something true, or returns nothing. Where one did,
    the loops that share ``wake`` look too: more may be due. ``report`` is called with an error that
    nobody planned for; what was under way is due again when its lease ends.
    """
    while not stop():
        wake.clear()
        done = [_tried(step, report) for step in steps]
        if any(done):
            wake.set()
        else:
            wake.wait(idle)


def _tried(step: Callable[[], object], report: Callable[[Exception], None]) -> bool:
    try:
        return bool(step())
    except Exception as error:  # noqa: BLE001 - one broken record must not end the loop for all others
        report(error)
        return False
