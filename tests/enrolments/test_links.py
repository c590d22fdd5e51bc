"""One person id for one person, whichever way they came, and never another's."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from broker.core.borrower import State

CPR, OTHER = "0101990000", "0202990000"


def never(_number: str) -> bool:
    """Say that the library knows of no change of number."""
    return False


@pytest.fixture
def names(world: Any) -> tuple[str, str, str, str]:
    """Give the pseudonyms of an eppn, a cprUuid, a CPR and another CPR."""
    links = world.links
    eppn, uuid = links.of_name("eppn", "aase@au.example"), links.of_name("cprUuid", "6f1c")
    return eppn, uuid, links.of_cpr(CPR), links.of_cpr(OTHER)


def test_every_way_in_is_one_person(world: Any, names: tuple[str, ...]) -> None:
    """WAYF with a CPR, NemLog-in, and WAYF without one end at the same id."""
    eppn, uuid, cpr, _ = names
    ids = [world.links.person(*way, never).id for way in ((eppn, cpr), (uuid, cpr), (None, cpr), (eppn, None))]
    assert len(set(ids)) == 1


def test_a_name_that_came_first_without_a_cpr_keeps_its_id(world: Any, names: tuple[str, ...]) -> None:
    """Services that know the person by the id go on knowing them once the CPR is sent."""
    eppn, _, cpr, _ = names
    assert world.links.person(eppn, None, never).id == world.links.person(eppn, cpr, never).id


def test_first_logins_that_race_get_one_id(world: Any, names: tuple[str, ...]) -> None:
    """Two ways in at the same moment agree, for one CPR is one person."""
    eppn, uuid, cpr, _ = names
    barrier = Barrier(8)

    def login(name: str) -> str:
        barrier.wait()
        return str(world.links.person(name, cpr, never).id)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(login, [eppn, uuid] * 4))) == 1


def test_a_recycled_name_gets_a_new_id(world: Any, names: tuple[str, ...]) -> None:
    """The next holder of an eppn is not the last one to any service."""
    eppn, _, cpr, other = names
    first = world.links.person(eppn, cpr, never)
    second = world.links.person(eppn, other, never)
    assert (first.id != second.id, second.number, second.case) == (True, None, None)
    assert world.links.person(eppn, None, never).id == second.id


def test_a_name_that_remembers_another_cprs_borrower_is_a_case(world: Any, names: tuple[str, ...]) -> None:
    """Recycled or changed, no machine can tell: no number, another id, and the link stays until staff have looked."""
    eppn, _, cpr, other = names
    first = world.links.person(eppn, cpr, never)
    world.links.remember(cpr, "7")
    world.links.person(eppn, cpr, never)
    for _ in range(2):
        second = world.links.person(eppn, other, never)
        assert (second.case, second.number, second.id != first.id) == ("cpr_changed", None, True)


def test_staff_end_the_dispute_by_a_retry(world: Any, names: tuple[str, ...]) -> None:
    """The case is listed with the borrower that the link remembers, and once it is retried the CPR counts."""
    eppn, _, cpr, other = names
    world.links.person(eppn, cpr, never)
    world.links.remember(cpr, "7")
    world.links.person(eppn, cpr, never)
    disputed = world.links.person(eppn, other, never)
    case = world.live.dispute(eppn, other)
    assert world.live.dispute(eppn, other).id == case.id
    assert world.cases.show(case.id)["linked"] == "7"
    assert world.cases.retry(case.id)
    assert (world.links.person(eppn, other, never).case, world.links.person(eppn, other, never).id) == (
        None,
        disputed.id,
    )
    assert list(world.cases.rows()) == []


def test_a_dispute_leaves_the_persons_own_enrolment_alone(world: Any, names: tuple[str, ...]) -> None:
    """A wish accepted by another way in is not undone by a bad link."""
    world.live.want(world.wish(), None)
    world.live.dispute(names[0], names[2])
    assert world.settle().state is State.DONE


def test_a_changed_cpr_that_the_library_knows_of_keeps_the_person(world: Any, names: tuple[str, ...]) -> None:
    """Where the remembered borrower carries the new number by now, it is the same person, id and all."""
    eppn, _, cpr, other = names
    first = world.links.person(eppn, cpr, never)
    world.links.remember(cpr, "7")
    world.links.person(eppn, cpr, never)
    second = world.links.person(eppn, other, lambda number: number == "7")
    assert (second.id, second.number, second.case) == (first.id, "7", None)


def test_without_a_cpr_the_number_holds_for_a_year(world: Any, names: tuple[str, ...]) -> None:
    """A name confirmed by a CPR within twelve months finds the borrower, an older one or a bare one does not."""
    eppn, uuid, cpr, _ = names
    world.links.person(eppn, cpr, never)
    world.links.remember(cpr, "7")
    world.now += timedelta(days=365)
    assert world.links.person(eppn, None, never).number == "7"
    world.now += timedelta(days=1)
    assert world.links.person(eppn, None, never).number is None
    world.links.person(uuid, None, never)
    assert world.links.person(uuid, None, never).number is None


def test_a_daily_login_writes_no_link(world: Any, names: tuple[str, ...]) -> None:
    """A link is confirmed once a month, not at every login."""
    eppn, _, cpr, _ = names
    world.links.person(eppn, cpr, never)
    world.hooks.calls.clear()
    world.now += timedelta(days=29)
    world.links.person(eppn, cpr, never)
    assert world.hooks.calls == []
    world.now += timedelta(days=1)
    world.links.person(eppn, cpr, never)
    assert world.hooks.calls == ["put"]


def test_a_finished_enrolment_is_remembered_by_the_link(world: Any, names: tuple[str, ...]) -> None:
    """The next login, by any name, knows the borrower."""
    eppn, _, cpr, _ = names
    world.links.person(eppn, cpr, never)
    world.live.want(world.wish(), None)
    world.settle()
    assert world.links.person(eppn, cpr, never).number == "1"


def test_no_name_and_no_number_stands_in_the_store(world: Any, names: tuple[str, ...]) -> None:
    """Names and numbers are kept as pseudonyms only."""
    world.links.person(names[0], names[2], never)
    kept = [f"{key}{kept.value!r}" for key, kept in world.store.list("link", None, world.now)]
    assert len(kept) == 2
    assert not any(word in each for each in kept for word in (CPR, "aase", "au.example"))
