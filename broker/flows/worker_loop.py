"""The round of a worker's loop: each kind of queued work in turn, until all are idle, then sleep or a wake-up."""

from collections.abc import Callable, Sequence

from broker.flows.concurrency import WakeSignal


def run_worker_loop(
    steps: Sequence[Callable[[], object]],
    wake: WakeSignal,
    stop: Callable[[], bool],
    idle: float,
    report: Callable[[Exception], None],
) -> None:
    """Do what is due until ``stop``; sleep ``idle`` seconds, or until woken, when no step did anything.

    A step does one thing that is due and gives something true, or nothing. ``report`` is told what
    went wrong outside the plan; what was under way is due again when its lease ends.
    """
    while not stop():
        wake.clear()
        done = [_done(step, report) for step in steps]
        if not any(done):
            wake.wait(idle)


def _done(step: Callable[[], object], report: Callable[[Exception], None]) -> bool:
    try:
        return bool(step())
    except Exception as error:  # noqa: BLE001 - one broken record must not end the loop for all others
        report(error)
        return False
