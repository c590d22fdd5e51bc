"""How many calls go out to Alma, and when one does not."""

import pytest

from broker.adapters.library_systems import alma_calls
from broker.adapters.library_systems.alma_calls import CallBudget
from broker.core.errors import CallNotMade, LibraryUnavailable


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Give the moment."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(alma_calls, "time", clock)
    return clock


def test_no_second_has_more_calls_than_it_may(clock: Clock) -> None:
    """A burst of one second's calls, and then one at a time."""
    budget = CallBudget(10)
    sent = []
    for _ in range(40):
        budget.admit(clock.now + 60)
        sent.append(clock.now)
    assert sent[9] == pytest.approx(1000)
    assert sent[-1] == pytest.approx(1000 + 3.0)
    assert all(later - earlier >= 0.99 for earlier, later in zip(sent[10:], sent[20:], strict=False))


def test_a_call_that_would_come_too_late_is_not_sent(clock: Clock) -> None:
    """Nor does it take the turn of another that can wait."""
    budget = CallBudget(1)
    budget.admit(clock.now + 0.1)
    with pytest.raises(LibraryUnavailable, match="calls_a_second"):
        budget.admit(clock.now + 0.5)
    budget.admit(clock.now + 1.5)
    assert clock.now == pytest.approx(1001)


def test_a_pair_goes_out_without_a_pause_in_it(clock: Clock) -> None:
    """It waits for the turn of its second call, takes both or none, and the next call waits for two."""
    budget = CallBudget(2)
    budget.admit(clock.now + 60)
    with pytest.raises(CallNotMade):
        budget.admit(clock.now + 0.4, calls=2)
    budget.admit(clock.now + 60, calls=2)
    assert clock.now == pytest.approx(1000.5)
    budget.admit(clock.now + 60)
    assert clock.now == pytest.approx(1001)
