"""The pace that threads keep together: never more than so many a second, nobody kept waiting after a rest."""

from hypothesis import given
from hypothesis import strategies as st

from broker.app.pace import Pace, PacedWork


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Give the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@given(per_second=st.floats(0.5, 100), rests=st.lists(st.floats(0, 3), min_size=1, max_size=80))
def test_no_second_has_more_turns_than_its_own_and_those_of_a_rest(per_second: float, rests: list[float]) -> None:
    """Whatever the pauses between them: n turns take as long as n at the pace, but for one second's worth."""
    clock = Clock()
    pace = Pace(per_second, clock, clock.sleep)
    turns = []
    for rest in rests:
        clock.now += rest
        pace.wait()
        turns.append(clock.now)
    for first, began in enumerate(turns):
        for last, ended in enumerate(turns[first:], start=1):
            assert last <= max(1.0, per_second) + 1 + (ended - began) * per_second + 1e-6


def test_a_turn_without_work_is_given_back() -> None:
    """Loops that look whether something is due use up nobody's turn."""
    clock = Clock()
    pace = Pace(2.0, clock, clock.sleep)
    for _ in range(50):
        pace.wait()
        pace.give_back()
    assert clock.now == 0.0
    for _ in range(4):
        pace.wait()
    assert clock.now > 0.9


def test_more_are_called_only_while_all_are_at_work() -> None:
    """By whoever ends a step of work while the others are at theirs; a look at an empty queue calls nobody."""
    clock = Clock()
    called: list[str] = []
    beside: list[PacedWork] = []

    def step() -> bool:
        while beside:
            beside.pop()()
        return True

    work = PacedWork(step, Pace(100.0, clock, clock.sleep), 2, lambda: called.append("work"))
    assert work()
    assert called == []
    beside.append(work)
    assert work()
    assert called == ["work"]
    idle = PacedWork(lambda: None, Pace(1.0, clock, clock.sleep), 0, lambda: called.append("idle"))
    assert [idle() for _ in range(5)] == [None] * 5
    assert called == ["work"]
