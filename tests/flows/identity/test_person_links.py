"""One person id for one person, whichever way they came, and never another's."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.login.transaction import Person

CPR, OTHER, SAME_DAY = "0101990000", "0202990000", "0101991234"
# The one's replacement and constructed numbers, with the date of birth in front, and the other's.
REPLACED, AGAIN, BUILT, REPLACED_OTHER = "6101990000", "6101991111", "010199ABC1", "6202990000"
YEAR = timedelta(days=365)


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
    assert world.settle().state is EnrolmentState.DONE


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
    world.now += YEAR
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


def test_a_borrower_is_disputed_before_the_name_has_learned_of_it(world: Any, names: tuple[str, ...]) -> None:
    """The CPR's link learns of a new borrower first; a recycled name is a case from that moment on."""
    eppn, _, cpr, other = names
    world.links.person(eppn, cpr, never)
    world.links.remember(cpr, "7")
    assert world.links.person(eppn, other, never).case == "cpr_changed"
    assert world.links.number(eppn) == "7"


@pytest.mark.parametrize("number", [OTHER, REPLACED, BUILT], ids=["weak", "replacement", "constructed"])
def test_a_number_too_weak_to_find_speaks_against_a_link(world: Any, names: tuple[str, ...], number: str) -> None:
    """Whoever comes by a name with another number than its CPR gets neither the borrower nor the id."""
    eppn, _, cpr, _ = names
    first = owner(world, eppn, cpr)
    against = world.links.asserted(eppn, number, real=number == OTHER)
    seconds = [world.links.person(eppn, None, never, against) for _ in range(2)]
    assert {(each.case, each.number, each.id != first.id) for each in seconds} == {("cpr_changed", None, True)}
    assert len({each.id for each in seconds}) == 1
    assert world.links.person(eppn, cpr, never) == first


@pytest.mark.parametrize("strong", [True, False])
def test_a_disputed_name_leads_nowhere_without_its_cpr(world: Any, names: tuple[str, ...], *, strong: bool) -> None:
    """Once two claim a name, it is no key to the borrower, also after its old holder came by CPR, until staff look."""
    eppn, _, cpr, other = names
    first = owner(world, eppn, cpr)
    against = world.links.asserted(eppn, OTHER, real=True)
    world.links.person(eppn, other if strong else None, never, against)
    world.now += timedelta(days=31)
    assert world.links.person(eppn, cpr, never) == first
    bare = world.links.person(eppn, None, never)
    assert (bare.case, bare.number, bare.id != first.id) == ("cpr_changed", None, True)
    assert world.cases.retry(world.live.dispute(eppn, other).id)
    fresh = world.links.person(eppn, None, never)
    assert (fresh.case, fresh.number, fresh.id != first.id) == (None, None, True)


def test_a_dispute_that_the_library_ended_costs_no_link(world: Any, names: tuple[str, ...]) -> None:
    """A case retried after the borrower got the new number drops nothing: the link is right by then."""
    eppn, _, cpr, other = names
    owner(world, eppn, cpr)
    world.links.person(eppn, other, never)
    case = world.live.dispute(eppn, other)
    settled = world.links.person(eppn, other, lambda number: number == "7")
    assert world.cases.retry(case.id)
    assert world.links.person(eppn, None, never).id == settled.id


def test_a_weak_number_finds_nobody_and_confirms_nothing(world: Any, names: tuple[str, ...]) -> None:
    """The right number, self-asserted, neither leads another name to its owner nor renews the twelve months."""
    eppn, uuid, cpr, _ = names
    first = owner(world, eppn, cpr)
    strange = world.links.person(uuid, None, never, world.links.asserted(uuid, CPR, real=True))
    assert (strange.number, strange.case, strange.id != first.id) == (None, None, True)
    own = world.links.asserted(eppn, CPR, real=True)
    world.now += timedelta(days=300)
    assert world.links.person(eppn, None, never, own) == first
    world.now += timedelta(days=300)
    late = world.links.person(eppn, None, never, own)
    assert (late.number, late.id != first.id) == (None, True)


EVIDENCE = {
    "the same": (CPR, CPR, True),
    "another": (CPR, OTHER, False),
    "another of the same day": (CPR, SAME_DAY, False),
    "back to a replacement": (CPR, REPLACED, False),
    "a number at last": (REPLACED, CPR, True),
    "a number of another birth": (REPLACED, OTHER, False),
    "constructed, then replacement": (BUILT, REPLACED, True),
    "another replacement": (REPLACED, AGAIN, True),
    "a replacement of another birth": (REPLACED, REPLACED_OTHER, False),
    "no number between": (CPR, None, True),
}


@pytest.mark.parametrize("strong", [True, False])
@pytest.mark.parametrize("case", EVIDENCE)
def test_a_name_without_a_cpr_ends_where_its_numbers_disagree(
    world: Any, names: tuple[str, ...], case: str, *, strong: bool
) -> None:
    """An id made by a name stays with the person last asserted, however weakly; a replacement gives way to a CPR."""
    eppn, (before, after, same) = names[0], EVIDENCE[case]
    first = world.links.person(eppn, None, never, world.links.asserted(eppn, before, real=before == CPR))
    if after is None:
        assert world.links.person(eppn, None, never).id == first.id
        after, same = OTHER, False
    real = after in {CPR, OTHER, SAME_DAY}
    asserted = world.links.asserted(eppn, after, real=real)
    second = world.links.person(eppn, world.links.of_cpr(after) if strong and real else None, never, asserted)
    assert ((second.id == first.id), second.case) == (same, None)


@pytest.mark.parametrize("by_cpr", [True, False])
def test_a_name_nothing_confirmed_for_a_year_gets_a_new_id(world: Any, names: tuple[str, ...], *, by_cpr: bool) -> None:
    """With a CPR or without one before: after twelve months no service takes the next holder for the last."""
    eppn, _, cpr, other = names
    first = world.links.person(eppn, cpr if by_cpr else None, never)
    world.now += YEAR
    assert world.links.person(eppn, None, never).id == first.id
    world.now += YEAR + timedelta(days=1)
    assert world.links.known(eppn, None, None) is None  # nor is the next holder shown what the last agreed to
    second = world.links.person(eppn, None, never)
    assert second.id != first.id
    assert world.links.person(eppn, None, never).id == second.id
    world.now += YEAR + timedelta(days=1)
    third = world.links.person(eppn, other, never)
    assert third.id not in {first.id, second.id}
    assert world.links.person(None, cpr, never).id != third.id


def test_a_name_in_use_keeps_its_id_and_writes_once_a_month(world: Any, names: tuple[str, ...]) -> None:
    """Coming confirms a name that has no CPR, at most every thirty days."""
    eppn = names[0]
    first = world.links.person(eppn, None, never)
    world.hooks.calls.clear()
    for _ in range(100):
        world.now += timedelta(days=15)
        assert world.links.person(eppn, None, never).id == first.id
    assert world.hooks.calls == ["put"] * 50


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("known", [True, False])
def test_two_numbers_that_race_for_a_name_are_two_people(
    world: Any, names: tuple[str, ...], when: str, *, known: bool
) -> None:
    """The id that a name had goes along with one CPR only."""
    eppn, _, cpr, other = names
    if known:
        world.links.person(eppn, None, never)
    seconds = []
    getattr(world.hooks, when)["put"] = lambda: seconds.append(world.links.person(eppn, other, never))
    first = world.links.person(eppn, cpr, never)
    assert (len(seconds), first.id != seconds[0].id) == (1, True)
    assert world.links.person(None, cpr, never).id != world.links.person(None, other, never).id


@pytest.mark.parametrize("write", range(4))
def test_a_login_that_died_midway_is_taken_up(world: Any, names: tuple[str, ...], write: int) -> None:
    """Whichever write a login with a first CPR died after, the next one ends at the name's own id."""
    eppn, _, cpr, _ = names
    first = world.links.person(eppn, None, never)
    world.hooks.calls.clear()

    def die(_name: str) -> None:
        if len(world.hooks.calls) == write:
            raise InterruptedError

    world.hooks.every = die
    with suppress(InterruptedError):
        world.links.person(eppn, cpr, never)
    world.hooks.every = lambda _name: None
    assert {world.links.person(*way, never).id for way in ((eppn, cpr), (None, cpr), (eppn, None))} == {first.id}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Aase@AU.example", "aase@au.example", True),
        ("groß@au.example", "gross@au.example", False),
        ("\N{KELVIN SIGN}im@au.example", "kim@au.example", False),
        ("åse@au.example", "aase@au.example", False),
    ],
)
def test_only_capitals_of_ascii_are_one_name(world: Any, one: str, other: str, *, same: bool) -> None:
    """Two people whose names a Unicode folding would merge are two keys."""
    assert (world.links.of_name("eppn", one) == world.links.of_name("eppn", other)) == same


def owner(world: Any, name: str, cpr: str) -> Person:
    """Let the person of name and CPR come and have borrower 7; give what the next login knows."""
    world.links.person(name, cpr, never)
    world.links.remember(cpr, "7")
    person: Person = world.links.person(name, cpr, never)
    assert person.number == "7"
    return person
