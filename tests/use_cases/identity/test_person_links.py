"""One person id for one CPR number, whichever way it came, and never a name's or another number's."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier
from typing import Any, Final

import pytest

CPR, OTHER = "0101990000", "0202990000"
YEAR: Final = timedelta(days=365)
DAY: Final = timedelta(days=1)


class Names:
    """The pseudonyms of an eppn, a cprUuid and two CPR numbers."""

    def __init__(self, links: Any) -> None:
        self.eppn, self.uuid = links.of_name("eppn", "aase@au.example"), links.of_name("cprUuid", "6f1c")
        self.cpr, self.other = links.of_cpr(CPR), links.of_cpr(OTHER)


@pytest.fixture
def names(world: Any) -> Names:
    """Give the pseudonyms."""
    return Names(world.links)


def by_cpr(world: Any, *given: Any, **more: Any) -> str:
    """Give the person id of a number."""
    return str(world.links.by_cpr(*given, **more).id)


def test_a_barred_number_bars_every_way_that_leads_to_it(world: Any, names: Names) -> None:
    """Until it is let in again; a number that nobody came with is not known for it."""
    world.links.by_cpr(names.cpr, uuid=names.uuid)
    world.links.bar(names.cpr, "person_dead")
    world.links.bar(names.other, "person_dead")
    assert world.links.by_cpr(names.cpr, uuid=names.uuid).barred == "person_dead"
    assert (world.links.is_barred(CPR), world.links.is_barred(OTHER), world.links.is_barred(None)) == (
        True,
        False,
        False,
    )
    assert world.links.holder_of(names.other) is None
    world.now += YEAR + DAY
    assert world.links.by_cpr(names.cpr).barred == "person_dead"
    world.links.bar(names.cpr, None)
    assert world.links.holder_of(names.cpr).barred is None


def test_a_new_number_of_a_person_leads_to_the_same_person(world: Any, names: Names) -> None:
    """Barred for as long as it is said; a number that somebody came with keeps their id, and is barred too."""
    person = by_cpr(world, names.cpr)
    world.links.succeed(names.other, names.cpr, "cpr_number_changed")
    assert world.links.by_cpr(names.other) == (person, None, "cpr_number_changed")
    third = world.links.of_cpr("0303990000")
    theirs = by_cpr(world, third)
    world.links.succeed(third, names.cpr, "cpr_number_changed")
    assert world.links.by_cpr(third) == (theirs, None, "cpr_number_changed")


def test_the_bar_of_a_changed_number_is_no_other_bar(world: Any, names: Names) -> None:
    """Whoever is dead stays so, where the number is found to be another's new one, and where that is decided."""
    for name in (names.cpr, names.other):
        world.links.by_cpr(name)
    world.links.bar(names.other, "person_dead")
    world.links.succeed(names.other, names.cpr, "cpr_number_changed")
    world.links.lift(names.other, "cpr_number_changed")
    assert world.links.holder_of(names.other).barred == "person_dead"
    world.links.lift(names.other, "person_dead")
    assert world.links.holder_of(names.other).barred is None


def test_an_account_keeps_the_bar_of_the_number_that_stood_on_it(world: Any) -> None:
    """Whether somebody came by it or not, after a year too; and it is another's with their number."""
    links = world.links
    cpr, other, account = links.of_cpr(CPR), links.of_cpr(OTHER), links.of_borrower("7")
    links.bar_account(account, cpr, "person_dead")
    assert links.holder_of(account) is None
    links.by_cpr(cpr)
    links.bar(cpr, "person_dead")
    links.bar_account(account, cpr, "person_dead")
    for _ in range(2):
        links.without_cpr(account)
        assert links.by_account(account).barred == "person_dead"
        assert links.is_barred(None, "7")
        world.now += YEAR + DAY
        assert links.by_account(account).barred == "person_dead"
        links.by_cpr(cpr, account)
    links.by_cpr(other, account)
    links.without_cpr(account)
    assert (links.by_account(account).barred, links.is_barred(None, "7")) == (None, False)
    alone = links.of_borrower("8")
    links.by_account(alone)
    links.bar_account(alone, cpr, "person_dead")
    world.now += YEAR + DAY
    assert links.by_account(alone).barred == "person_dead"


def test_every_way_in_with_the_number_is_one_person(world: Any, names: Names) -> None:
    """By the university, by the eID, and by the number alone; the name alone is somebody else."""
    ways: tuple[dict[str, str], ...] = ({"name": names.eppn}, {"uuid": names.uuid}, {})
    ids = {by_cpr(world, names.cpr, **way) for way in ways}
    assert len(ids) == 1
    assert world.links.by_name(names.eppn) not in ids
    assert world.links.cpr(names.uuid) == names.cpr


@pytest.mark.parametrize("way", ["name", "uuid"])
def test_the_first_number_takes_the_id_of_the_name_along(world: Any, names: Names, way: str) -> None:
    """Services go on knowing the person; the name alone has another id from then on, the same each time."""
    name = {"name": names.eppn, "uuid": names.uuid}[way]
    first = world.links.by_name(name)
    assert by_cpr(world, names.cpr, **{way: name}) == first
    second = world.links.by_name(name)
    assert second != first
    world.now += YEAR
    assert world.links.by_name(name) == second
    assert by_cpr(world, names.other, names.eppn) not in {first, second}


def test_an_id_that_is_known_goes_before_one_that_is_drawn(world: Any, names: Names) -> None:
    """Of two names beside a number, the one that somebody has come by gives its id."""
    first = world.links.by_name(names.eppn)
    assert by_cpr(world, names.cpr, names.eppn, names.uuid) == first


def test_a_number_that_has_an_id_takes_none(world: Any, names: Names) -> None:
    """What the name had is nobody's from then on."""
    own = by_cpr(world, names.cpr)
    first = world.links.by_name(names.eppn)
    assert by_cpr(world, names.cpr, names.eppn) == own
    assert by_cpr(world, names.other, names.eppn) not in {own, first}


def test_first_logins_that_race_get_one_id(world: Any, names: Names) -> None:
    """Two ways in at the same moment agree, for one CPR is one person."""
    barrier = Barrier(8)

    def login(way: dict[str, str]) -> str:
        barrier.wait()
        return by_cpr(world, names.cpr, **way)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(login, [{"name": names.eppn}, {"uuid": names.uuid}] * 4))) == 1


def test_another_number_by_a_known_name_is_its_own_person(world: Any, names: Names) -> None:
    """Recycled or changed: both numbers have their ids, and what came before is told, unless it is long ago."""
    first = world.links.by_cpr(names.cpr, names.eppn)
    alone = world.links.by_name(names.eppn)
    second = world.links.by_cpr(names.other, names.eppn)
    assert (first.name_had, second.name_had) == (None, names.cpr)
    assert len({first.id, second.id, alone, world.links.by_name(names.eppn)}) == 4
    assert by_cpr(world, names.cpr) == first.id
    world.now += YEAR + DAY
    assert world.links.by_cpr(names.cpr, names.eppn).name_had is None


def test_a_cpr_uuid_stays_with_its_number(world: Any, names: Names) -> None:
    """However long ago that came with it; nothing is written for another one, and staff may let it go."""
    first = by_cpr(world, names.cpr, uuid=names.uuid)
    world.now += 3 * YEAR
    world.hooks.calls.clear()
    assert world.links.by_cpr(names.other, names.eppn, names.uuid) is None
    assert world.hooks.calls == []
    assert by_cpr(world, names.cpr, uuid=names.uuid) == first
    world.links.forget(names.uuid)
    assert by_cpr(world, names.other, uuid=names.uuid) != first


@pytest.mark.parametrize("when", ["before", "after"])
def test_two_numbers_that_race_for_a_cpr_uuid_are_one_person_and_a_case(world: Any, names: Names, when: str) -> None:
    """Whichever is written first has it."""
    raced = []
    hook = lambda: raced.append(world.links.by_cpr(names.other, uuid=names.uuid))  # noqa: E731
    getattr(world.hooks, when)["put"] = hook
    mine = world.links.by_cpr(names.cpr, uuid=names.uuid)
    assert [mine, *raced].count(None) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("known", [True, False])
def test_two_numbers_that_race_for_a_name_are_two_people(world: Any, names: Names, when: str, *, known: bool) -> None:
    """The id that a name had goes along with one CPR only."""
    had = world.links.by_name(names.eppn) if known else None
    seconds = []
    getattr(world.hooks, when)["put"] = lambda: seconds.append(by_cpr(world, names.other, names.eppn))
    first = by_cpr(world, names.cpr, names.eppn)
    assert (len(seconds), first != seconds[0]) == (1, True)
    assert (by_cpr(world, names.cpr), by_cpr(world, names.other)) == (first, seconds[0])
    assert world.links.by_name(names.eppn) not in {first, seconds[0], had}


def test_who_comes_by_a_name_while_its_holder_is_forgotten_keeps_their_id(world: Any, names: Names) -> None:
    """Whenever that is: the link is taken as it was read, and nothing of the other's goes with it."""
    first = world.links.by_name(names.eppn)
    came: list[str] = []

    def come() -> None:
        if not came:
            came.append("")
            came[0] = by_cpr(world, names.cpr, names.eppn, names.uuid)
            came.append(world.links.by_name(names.eppn))

    world.hooks.before |= {"put": come, "drop": come}
    world.links.forget_person(names.eppn, {first})
    assert world.links.by_name(names.eppn) == came[1]
    world.links.forget_person(names.eppn, {came[0], came[1]})
    assert world.links.known_by_name(names.eppn) is None
    assert names.eppn not in {key.group for key, _ in world.store.list("link", None, world.now)}


@pytest.mark.parametrize("write", range(3))
def test_a_login_that_died_midway_is_taken_up(world: Any, names: Names, write: int) -> None:
    """Whichever write a login with a first CPR died after, the next one ends at the name's own id."""
    first = world.links.by_name(names.eppn)
    world.hooks.calls.clear()

    def die(_name: str) -> None:
        if len(world.hooks.calls) == write:
            raise InterruptedError

    world.hooks.every = die
    with suppress(InterruptedError):
        by_cpr(world, names.cpr, names.eppn)
    world.hooks.every = lambda _name: None
    assert {by_cpr(world, names.cpr, names.eppn), by_cpr(world, names.cpr)} == {first}
    assert world.links.by_name(names.eppn) != first


def test_an_id_that_was_promised_to_a_number_is_no_other_s(world: Any, names: Names) -> None:
    """A login died between the two writes, and another number came by the name before it was taken up."""
    first = world.links.by_name(names.eppn)

    def die(_name: str) -> None:
        raise InterruptedError

    world.hooks.every = die
    with suppress(InterruptedError):
        by_cpr(world, names.cpr, names.eppn)
    world.hooks.every = lambda _name: None
    assert by_cpr(world, names.other, names.eppn) != first
    assert by_cpr(world, names.cpr, names.eppn) != first
    assert world.links.by_name(names.eppn) != first


def test_a_name_unseen_for_a_year_is_somebody_new(world: Any, names: Names) -> None:
    """To the day it is still theirs; nor is the next holder shown what the last agreed to."""
    first = world.links.by_name(names.eppn)
    world.now += YEAR
    assert world.links.known_by_name(names.eppn) == first
    world.now += DAY
    assert world.links.known_by_name(names.eppn) is None
    second = world.links.by_name(names.eppn)
    assert second != first
    assert by_cpr(world, names.cpr, names.eppn) == second


def test_a_number_never_goes_stale(world: Any, names: Names) -> None:
    """The state gives it to nobody else; its link is written anew once a year, that it may not end."""
    first = by_cpr(world, names.cpr)
    for _ in range(50):
        world.now += YEAR
        assert world.links.known_by_cpr(names.cpr) == first
        assert by_cpr(world, names.cpr) == first


def test_a_daily_login_writes_no_link(world: Any, names: Names) -> None:
    """A name is noted once a month, a number once a year, not at every login."""
    by_cpr(world, names.cpr, names.eppn)
    world.links.by_name(names.eppn)
    for days, writes in ((29, 0), (1, 1), (29, 0), (306, 2)):
        world.hooks.calls.clear()
        world.now += timedelta(days=days)
        by_cpr(world, names.cpr, names.eppn)
        world.links.by_name(names.eppn)
        assert world.hooks.calls == ["put"] * writes


def test_no_name_and_no_number_stands_in_the_store(world: Any, names: Names) -> None:
    """Names and numbers are kept as pseudonyms only."""
    by_cpr(world, names.cpr, names.eppn)
    kept = [f"{key}{kept.value!r}" for key, kept in world.store.list("link", None, world.now)]
    assert len(kept) == 2
    assert not any(word in each for each in kept for word in (CPR, "aase", "au.example"))


def test_nothing_is_made_by_asking(world: Any, names: Names) -> None:
    """Who has never come is nobody."""
    links = world.links
    for name in (names.eppn, None):
        assert (links.known_by_name(name), links.known_by_cpr(name), links.cpr(name)) == (None, None, None)
    assert world.links.holder(names.cpr) == names.cpr
    assert "put" not in world.hooks.calls
    assert world.links.holder(names.cpr) != by_cpr(world, names.cpr) == world.links.holder(names.cpr)


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
