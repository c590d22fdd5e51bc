"""The loop of queued work: each kind in its turn, sleep when all are idle, and no fault that ends it."""

from collections.abc import Callable
from functools import partial
from threading import Event

import pytest

from broker.use_cases.storage import worker_loop


class Sleeper(Event):
    """An event that never sleeps, and counts how often it was asked to."""

    slept = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Count."""
        assert timeout == 2.0
        self.slept += 1
        return False


def run(*steps: Callable[[], object], turns: int) -> tuple[int, list[Exception]]:
    """Run so many rounds; give how often the loop slept and what it reported."""
    wake, left = Sleeper(), iter([False] * turns + [True])
    reported: list[Exception] = []
    worker_loop.run_worker_loop(steps, wake, lambda: next(left), 2.0, reported.append)
    return wake.slept, reported


@pytest.mark.parametrize(("done", "slept"), [((None, False), 3), ((None, True), 0), (("enrolment", False), 0)])
def test_the_loop_sleeps_only_when_every_step_is_idle(done: tuple[object, object], slept: int) -> None:
    """While one kind of work goes on the next is taken at once, and each kind has its turn in every round."""
    turns: list[int] = []

    def step(number: int) -> object:
        turns.append(number)
        return done[number]

    assert run(partial(step, 0), partial(step, 1), turns=3) == (slept, [])
    assert turns == [0, 1] * 3


def test_a_fault_in_one_kind_does_not_stop_another() -> None:
    """The error is reported, and the loop continues with the next step and round."""
    fault, done = ValueError("broken"), [2, 1]

    def breaks() -> object:
        raise fault

    assert run(breaks, done.pop, turns=2) == (0, [fault, fault])
    assert done == []
