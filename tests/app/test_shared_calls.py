"""What a long run leaves to logins of the calls that a library system takes."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.app.shared_calls import SharedCalls
from broker.core.borrowers.library_calls import QUOTA_LOW, unobserved
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key, Store

AT: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Counters:
    """The counters of a store that all processes share, and their clock."""

    def __init__(self) -> None:
        """Begin at a whole second."""
        self.now = AT
        self.counts: Counter[Key] = Counter()
        self.ends: dict[Key, datetime] = {}
        self.down = False

    def count(self, key: Key, by: int, until: datetime, _now: datetime) -> int:
        """Add, and give the sum."""
        if self.down:
            raise StoreUnavailable("down")
        self.counts[key] += by
        self.ends[key] = until
        return self.counts[key]

    def process(self, limit: float | None = 10) -> SharedCalls:
        """Give the calls of one process."""
        calls = SharedCalls(cast("Store", self), unobserved, lambda: self.now)
        calls.limit = limit
        return calls

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture(name="counters")
def _counters() -> Counters:
    return Counters()


def run(counters: Counters, limit: float | None = 10) -> SharedCalls:
    """Give the calls of a long run."""
    calls = counters.process(limit)
    calls.give_way()
    return calls


def test_a_run_alone_takes_the_calls_of_each_second(counters: Counters) -> None:
    """And no more: the next has to wait for the next second."""
    calls = run(counters)
    taken = []
    for _ in range(25):
        calls.wait(counters.pause)
        taken.append(int((counters.now - AT).total_seconds()))
    assert Counter(taken) == {0: 10, 1: 10, 2: 5}


def test_a_run_gives_way_to_what_others_call(counters: Counters) -> None:
    """To the logins of every process: what they called a second ago is left to them."""
    calls, worker = run(counters), counters.process()
    for _ in range(7):
        worker("read", "done", 0.2)
    counters.pause(1)
    for _ in range(4):
        calls.wait(counters.pause)
    assert (counters.now - AT).total_seconds() == 2


@given(limit=st.integers(1, 12), load=st.integers(0, 14), turns=st.integers(1, 60))
def test_no_second_has_more_than_the_limit_beside_a_steady_load(limit: int, load: int, turns: int) -> None:
    """Whatever a worker calls each second, the run takes the rest of it; where that is nothing, it waits."""
    counters = Counters()
    calls, worker = run(counters, limit), counters.process(limit)
    taken: Counter[int] = Counter()
    waits = [0]

    def second_passes(seconds: float) -> bool:
        for _ in range(load):
            worker("read", "done", 0.2)
        counters.pause(seconds)
        waits[0] += 1
        return waits[0] > turns

    second_passes(1)
    for _ in range(turns):
        calls.wait(second_passes)
        if waits[0] > turns:
            break
        taken[int(counters.now.timestamp())] += 1
    assert all(count + load <= limit for count in taken.values())
    assert bool(taken) is (load < limit)


def test_the_calls_of_a_run_are_its_turns_and_not_counted_twice(counters: Counters) -> None:
    """Else it would give way to itself."""
    calls = run(counters)
    calls("read", "done", 0.2)
    assert +counters.counts == Counter()


def test_a_call_of_a_run_without_a_turn_is_one_of_its_second(counters: Counters) -> None:
    """A mend takes four calls and more, a second look two: they come out of what the run has, not on top of it."""
    calls = run(counters)
    for _ in range(5):
        calls.wait(counters.pause)
    for _ in range(5 + 4):
        calls("read", "done", 0.2)
    calls.wait(counters.pause)
    assert counters.now == AT
    calls.wait(counters.pause)
    assert counters.now == AT + timedelta(seconds=1)


def test_nothing_is_counted_where_the_library_system_limits_nothing(counters: Counters) -> None:
    """A Koha: no turn of the store for any call, and no wait."""
    worker = counters.process(None)
    worker("read", "done", 0.2)
    run(counters, None).wait(lambda _: pytest.fail("there is nothing to wait for"))
    assert counters.counts == Counter()


def test_a_count_holds_no_person_and_ends(counters: Counters) -> None:
    """It is that of a second, and gone after ten."""
    counters.process()("read", "done", 0.2)
    ((key, ends),) = counters.ends.items()
    assert (key, ends - AT) == (Key("counter", f"library calls {int(AT.timestamp())}"), timedelta(seconds=10))


def test_a_store_that_is_down_holds_up_no_call(counters: Counters) -> None:
    """A call that is not counted is none that fails; a run hears of it."""
    counters.down = True
    counters.process()("read", "done", 0.2)
    with pytest.raises(StoreUnavailable):
        run(counters).wait(counters.pause)


def test_an_interrupted_run_waits_no_longer(counters: Counters) -> None:
    """Ctrl-C ends it within a call, however many others call."""
    worker = counters.process()
    for _ in range(50):
        worker("read", "done", 0.2)
    counters.pause(1)
    pauses: list[float] = []

    def interrupted(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    run(counters).wait(interrupted)
    assert len(pauses) == 1


def test_the_alarm_of_the_day_is_heard(counters: Counters) -> None:
    """As the connector tells it with a call; it is no call itself."""
    calls = counters.process()
    assert not calls.is_low
    calls(QUOTA_LOW, "done", 0.0)
    assert (calls.is_low, +counters.counts) == (True, Counter())


def test_every_process_counts_and_hears_on(counters: Counters) -> None:
    """Two processes share one second, and metrics hear of each call."""
    heard: list[tuple[str, str]] = []
    calls = SharedCalls(cast("Store", counters), lambda call, outcome, _: heard.append((call, outcome)), lambda: AT)
    calls.limit = 10
    calls("find", "done", 0.1)
    counters.process()("read", "refused", 0.1)
    assert heard == [("find", "done")]
    assert list(counters.counts.values()) == [2]
