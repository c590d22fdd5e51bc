"""A library system that answers again: the oldest of those who wait are next, whatever their pauses were."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.errors import LibraryUnavailable
from broker.flows.borrowers.wishes_after_outage import WishesAfterOutage


def down() -> None:
    """Be silent."""
    raise LibraryUnavailable("down")


@pytest.fixture
def worker(world: Any) -> WishesAfterOutage:
    """Give a worker."""
    return WishesAfterOutage(world.live.step, world.records, world.ports.now)


def wanted(world: Any, *cprs: str) -> None:
    """Wish for some people, a minute apart."""
    for cpr in cprs:
        world.live.want(replace(world.wish(), cpr=cpr))
        world.now += timedelta(minutes=1)


def fail(world: Any, worker: WishesAfterOutage, times: int) -> None:
    """Let a step find the library system silent, each time that one is due."""
    for _ in range(times):
        world.hooks.before["find"] = down
        assert worker.step()
        world.now += timedelta(hours=3)
    world.now -= timedelta(hours=3)


def test_when_the_library_answers_all_that_wait_are_due_oldest_first(world: Any, worker: WishesAfterOutage) -> None:
    """The pauses of the oldest have grown longest, and after the outage it would be the last."""
    wanted(world, "0000000001")
    fail(world, worker, 6)
    wanted(world, "0000000002")
    fail(world, worker, 1)
    wanted(world, "0000000003")
    assert worker.step()  # the third: those before it wait for the end of their pauses
    assert [worker.step() for _ in range(2)] != [None, None]
    assert worker.step() is None
    assert list(world.library.cprs.values()) == ["0000000003", "0000000001", "0000000002"]


def test_without_an_outage_nothing_is_read_for_it(world: Any, worker: WishesAfterOutage) -> None:
    """A wish that failed for a reason of its own keeps its pause."""
    wanted(world, "0000000001", "0000000002")
    world.store.list = None
    while worker.step():
        pass
    assert len(world.library.borrowers) == 2


def test_of_all_workers_one_makes_them_due_each_minute(world: Any, worker: WishesAfterOutage) -> None:
    """A library system that comes and goes costs one reading of all a minute; the next answer makes up for it."""
    other = WishesAfterOutage(world.live.step, world.records, world.ports.now)
    wanted(world, "0000000001")
    fail(world, worker, 1)
    world.now += timedelta(hours=3)
    fail(world, other, 1)
    listings = []
    listing = world.store.list

    def listed(*given: Any) -> Any:
        listings.append(given)
        return listing(*given)

    world.store.list = listed
    for cpr, each in (("0000000002", worker), ("0000000003", other)):
        world.live.want(replace(world.wish(), cpr=cpr))
        done = each.step()
        assert done
        assert done.state is EnrolmentState.DONE
    assert len(listings) == 1
