"""How many enrolments stand where, counted by one worker for all."""

from datetime import timedelta
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryUnavailable
from broker.core.ports import Kept, Key
from broker.use_cases.borrowers.enrolment_figures import EnrolmentCounting, EnrolmentFigures

CPR, OTHER = "0101990000", "0202990000"


def worker(world: Any) -> EnrolmentCounting:
    """Give a worker that has counted nothing yet."""
    return EnrolmentCounting(world.records, lambda: world.now)


def counted(world: Any) -> EnrolmentFigures:
    """Count once, and give the figures."""
    counting = worker(world)
    counting.step()
    figures = counting.figures()
    assert figures
    return figures


def test_an_empty_store_has_nothing_to_count(world: Any) -> None:
    """And says so, which is another thing than saying nothing."""
    assert worker(world).figures() is None
    assert counted(world) == EnrolmentFigures(world.now, (), None, 0)


def test_what_waits_is_counted_by_its_reason(world: Any) -> None:
    """What is done has none; the age is that of the oldest wish; a PIN letter is owed until it is mailed."""

    def down() -> None:
        raise LibraryUnavailable("down")

    world.library.add(OTHER, Borrower("8", "PRIV"))
    world.library.add(OTHER, Borrower("9", "PRIV"))
    world.live.want(world.wish(cpr=OTHER))
    world.live.step()
    world.post.down = True
    world.live.want(world.wish())
    world.live.step()
    world.now += timedelta(minutes=1)
    begun = world.now
    world.hooks.before["find"] = down
    world.live.want(world.wish(cpr="0303990000"))
    world.live.step()
    world.live.step()
    world.live.want(world.wish(cpr="0404990000"))
    world.store.put(Key("mail", "waiting"), Kept(b"", "v", begun + timedelta(days=1), begun), None, begun)
    world.store.put(Key("mail", "sent"), Kept(b"", "v", begun + timedelta(days=1)), None, begun)
    figures = counted(world)
    assert {(each.state, each.reason): each.count for each in figures.counts} == {
        ("case", "several_borrowers"): 1,
        ("done", ""): 1,
        ("wanted", "library_unavailable"): 1,
        ("wanted", ""): 1,
    }
    assert (figures.oldest_wanted, figures.pins_owed) == (begun, 2)
    assert figures.of_state("wanted") == 2


@pytest.mark.parametrize(("later", "again"), [(timedelta(minutes=4), False), (timedelta(minutes=5), True)])
def test_one_worker_counts_every_five_minutes(world: Any, later: timedelta, *, again: bool) -> None:
    """The others read what it found; a worker that is too late for its turn counts nothing."""
    first = counted(world)
    world.live.want(world.wish())
    world.now += later
    assert (counted(world) != first) is again


def test_two_workers_do_not_count_at_once(world: Any) -> None:
    """While one counts, whoever looks finds its turn taken."""
    slow, other = worker(world), worker(world)
    begun: list[int] = []

    def meanwhile() -> None:
        begun.append(1)
        other.step()

    all_of_them = world.records.store.list

    def listing(*given: Any) -> Any:
        meanwhile()
        return all_of_them(*given)

    world.records.store.list = listing
    slow.step()
    assert len(begun) == 2  # the enrolments and the letters, once each
    assert slow.figures() == other.figures()
