"""A library system that answers again: the oldest of those who wait are next, whatever their pauses were."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.errors import LibraryUnavailable, MailUnavailable
from broker.use_cases.borrowers.wishes_after_outage import WishesAfterOutage


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
    world.live.want(replace(world.wish(), cpr="0000000003"))
    assert worker.step()  # the third: those before it wait for the end of their pauses
    assert [worker.step() for _ in range(2)] != [None, None]
    assert worker.step() is None
    assert list(world.library.cprs.values()) == ["0000000003", "0000000001", "0000000002"]


def test_without_an_outage_nothing_is_read_for_it(world: Any, worker: WishesAfterOutage) -> None:
    """A wish that failed for a reason of its own keeps its pause."""
    wanted(world, "0000000001", "0000000002")
    assert worker.step()  # the first success of a process, which knows nothing of the time before
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


def test_the_first_success_after_a_restart_makes_due_what_waits(world: Any, worker: WishesAfterOutage) -> None:
    """An outage is not forgotten with the process, and a record that does not read hides none behind it."""
    wanted(world, "0000000003")
    assert world.live.step()
    key = world.live.person_key("0000000003")
    kept = world.store.get(key, world.now)
    world.store.put(key, kept._replace(value=b"\x03{}", version="f" * 16, due=None), kept.version, world.now)
    wanted(world, "0000000001")
    fail(world, worker, 6)
    again = WishesAfterOutage(world.live.step, world.records, world.ports.now)
    wanted(world, "0000000002")
    assert [again.step() is None for _ in range(3)] == [False, False, True]
    assert list(world.library.cprs.values()) == ["0000000003", "0000000002", "0000000001"]


def test_wishes_that_alone_fail_are_not_tried_more_for_the_success_of_others(
    world: Any, worker: WishesAfterOutage
) -> None:
    """A record that the library system cannot read keeps its growing pauses."""
    find, tries = world.library.find, [0]

    def partly(cpr: str, deadline: Any) -> Any:
        if cpr.startswith("9"):
            tries[0] += 1
            raise LibraryUnavailable("500")
        return find(cpr, deadline)

    world.library.find = partly
    wanted(world, *(f"9{serial:09}" for serial in range(5)))
    for minute in range(60):
        wanted(world, f"1{minute:09}")
        while worker.step():
            pass
    assert len(world.library.borrowers) == 60
    assert tries[0] <= 5 * 9


def test_wishes_whose_calls_end_at_their_deadlines_leave_time_for_everybody_else(
    world: Any, worker: WishesAfterOutage
) -> None:
    """Sixty take a quarter of an hour a round: none of them goes before who is new again and again."""
    find = world.library.find

    def hangs(cpr: str, deadline: Any) -> Any:
        if cpr.startswith("9"):
            world.now += timedelta(seconds=15)
            raise LibraryUnavailable("no answer")
        return find(cpr, deadline)

    world.library.find = hangs
    for serial in range(60):
        world.live.want(world.wish(cpr=f"9{serial:09}"))
    begun = came = world.now
    for serial in range(60):
        while world.now < came:
            if worker.step() is None:
                world.now = came
        world.live.want(world.wish(cpr=f"1{serial:09}"))
        came += timedelta(minutes=2)
    assert world.now - begun < timedelta(hours=3)
    assert len(world.library.borrowers) > 50


def fails() -> None:
    """Be silent for one call."""
    raise LibraryUnavailable("late")


def dies() -> None:
    """Die."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("call", ["find", "create", "set_pin", "RCPT"])
def test_a_wish_that_fails_once_waits_for_its_pause_and_not_for_all_the_others(
    world: Any, worker: WishesAfterOutage, call: str
) -> None:
    """It has been wanted longest: among hundreds that wait it is next once it may be tried again."""
    wanted(world, *(f"{serial:010}" for serial in range(40)))
    assert worker.step()  # the first success of a process, after which nothing is read for an outage
    world.hooks.before[call] = (lambda: (_ for _ in ()).throw(MailUnavailable("late"))) if call == "RCPT" else fails
    mailed = mailed_in_order(world, worker)
    # At a second each, behind those of a pause of 7.5 s at most.
    assert 0 < mailed.index(1) <= 8
    assert sorted(mailed) == list(range(1, 40))


@pytest.mark.parametrize(("call", "seconds"), [("find", 20), ("create", 20), ("set_pin", 20), ("RCPT", 50)])
def test_a_wish_whose_worker_dies_waits_for_the_end_of_its_lease_alone(
    world: Any, worker: WishesAfterOutage, call: str, seconds: int
) -> None:
    """Also when the account stands and the PIN is owed: it is due since it was wanted."""
    wanted(world, *(f"{serial:010}" for serial in range(70)))
    assert worker.step()
    world.hooks.before[call] = dies
    with pytest.raises(KeyboardInterrupt):
        worker.step()
    mailed = mailed_in_order(world, worker)
    assert 0 < mailed.index(1) <= seconds + 2


def mailed_in_order(world: Any, worker: WishesAfterOutage) -> list[int]:
    """Carry out all that waits, one a second; give whom a PIN was mailed, in their order."""
    mailed: list[int] = []
    for _ in range(80):
        before = len(world.post.sent)
        done = worker.step()
        if done and len(world.post.sent) > before:
            mailed.append(int(world.library.cprs[done.number]))
        world.now += timedelta(seconds=1)
    return mailed
