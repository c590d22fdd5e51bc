"""A name that comes with another cprUuid, or with one that leads to somebody else, leads to nobody."""

from datetime import timedelta
from typing import Any

import pytest

from broker.core.identity.identifier_reassignment import Asserted

CPR, OTHER = "0101990000", "0202990000"


def never(_number: str) -> bool:
    """Say that the library knows of no change of number."""
    return False


class Bench:
    """An eppn, two cprUuids and two CPRs, as pseudonyms."""

    def __init__(self, world: Any) -> None:
        self.world, self.links = world, world.links
        self.eppn = self.links.of_name("eppn", "aase@au.example")
        self.one, self.other = (self.links.of_name("cprUuid", each) for each in ("6f1c", "6f1d"))
        self.cpr, self.other_cpr = self.links.of_cpr(CPR), self.links.of_cpr(OTHER)

    def said(self, uuid: str | None, *, sure: bool = True, number: str | None = None) -> Asserted:
        """Give what a login says beside the eppn."""
        found: Asserted = self.links.asserted(self.eppn, number, real=True, uuid=uuid, sure=sure)
        return found

    def come(self, cpr: str | None, uuid: str | None, name: str | None = None) -> Any:
        """Log in by the eppn, or another name."""
        number = {self.cpr: CPR, self.other_cpr: OTHER}.get(cpr or "")
        said = self.links.asserted(name or self.eppn, number, real=True, uuid=uuid, sure=True)
        return self.links.person(name or self.eppn, cpr, never, said)

    def owner(self, uuid: str | None = None) -> Any:
        """Let the person of eppn and CPR come and have borrower 7; give what the next login knows."""
        self.come(self.cpr, uuid)
        self.links.remember(self.cpr, "7")
        person = self.come(self.cpr, uuid)
        assert person.number == "7"
        return person


@pytest.fixture
def bench(world: Any) -> Bench:
    """Give the pseudonyms over an empty world."""
    return Bench(world)


@pytest.mark.parametrize("number", [None, CPR], ids=["bare", "right number"])
@pytest.mark.parametrize("strong", [True, False])
def test_another_cpr_uuid_gets_neither_borrower_nor_id(bench: Bench, number: str | None, *, strong: bool) -> None:
    """The same stranger each time, and the owner goes on by the CPR and by the cprUuid that belongs to it."""
    first = bench.owner(bench.one)
    strange = bench.said(bench.other, sure=strong, number=number)
    cpr = bench.cpr if number and strong else None
    seconds = [bench.links.person(bench.eppn, cpr, never, strange) for _ in range(2)]
    assert {(each.case, each.number, each.id != first.id) for each in seconds} == {("cpr_changed", None, True)}
    assert len({each.id for each in seconds}) == 1
    assert bench.come(bench.cpr, bench.one) == first
    assert bench.come(None, None).case == "cpr_changed"


def test_a_changed_number_that_the_library_knows_of_needs_the_same_cpr_uuid(bench: Bench) -> None:
    """The library carries the new number at the old borrower, and the register says that it is somebody else."""
    bench.owner(bench.one)
    strange = bench.links.asserted(bench.eppn, OTHER, real=True, uuid=bench.other, sure=True)
    second = bench.links.person(bench.eppn, bench.other_cpr, lambda number: number == "7", strange)
    assert (second.number, second.case) == (None, "cpr_changed")


@pytest.mark.parametrize("between", [timedelta(0), timedelta(days=40)], ids=["at once", "when confirmed anew"])
@pytest.mark.parametrize("first", ["without", "with"])
def test_a_cpr_uuid_is_learned_and_kept(bench: Bench, first: str, between: timedelta) -> None:
    """With the CPR or after it; a login that does not say it forgets nothing."""
    before = bench.owner(bench.one if first == "with" else None)
    assert bench.come(None, bench.one) == before
    bench.world.now += between
    assert bench.come(bench.cpr, None) == before
    assert bench.come(None, bench.other).case == "cpr_changed"


def test_a_known_cpr_uuid_writes_no_link_at_each_login(bench: Bench) -> None:
    """It is written once, and by coming no link of a CPR is confirmed."""
    bench.owner()
    bench.come(None, bench.one)
    bench.world.hooks.calls.clear()
    bench.come(None, bench.one)
    bench.come(bench.cpr, bench.one)
    assert bench.world.hooks.calls == []
    bench.world.now += timedelta(days=366)
    assert bench.come(None, bench.one).number is None


@pytest.mark.parametrize("after", ["number", "none"])
def test_a_name_without_a_cpr_gets_a_new_id_with_another_cpr_uuid(bench: Bench, after: str) -> None:
    """There is no borrower at stake, and no case; the next holder of the name is somebody else all the same."""
    first = bench.come(None, bench.one)
    assert bench.come(None, bench.one) == first
    second = bench.come(bench.other_cpr if after == "number" else None, bench.other)
    assert (second.id != first.id, second.case) == (True, None)
    assert bench.come(None, bench.other).id == second.id


def test_a_first_number_takes_the_cpr_uuid_of_the_name_along(bench: Bench) -> None:
    """What came with the name before the CPR did still speaks against the next holder."""
    first = bench.come(None, bench.one)
    assert bench.come(bench.cpr, None).id == first.id
    assert bench.come(None, bench.other).case == "cpr_changed"


def test_a_name_that_goes_over_to_another_person_leaves_its_cpr_uuid_behind(bench: Bench) -> None:
    """What was said of the one who held it before does not speak against the one whose CPR came with it since."""
    bench.come(None, bench.one)
    bench.links.person(None, bench.cpr, never)
    now = bench.come(bench.cpr, None)
    assert bench.come(None, bench.other) == now


@pytest.mark.parametrize("known", ["nothing", "the name", "the owner"])
def test_two_cpr_uuids_that_race_for_a_name_are_two_people(bench: Bench, known: str) -> None:
    """Whichever is written first, no id and no borrower goes to both."""
    if known == "the owner":
        bench.owner()
    elif known == "the name":
        bench.come(None, None)
    raced = []
    bench.world.hooks.before["put"] = lambda: raced.append(bench.come(None, bench.other))
    mine = bench.come(None, bench.one)
    (theirs,) = raced
    assert mine.id != theirs.id
    assert None in {mine.number, theirs.number}
    if known == "the owner":
        assert (theirs.case, mine.case) == (None, "cpr_changed")


APART = {
    "both have had a CPR": (True, True, False, True),
    "the name has, and the cprUuid is somebody's own": (True, False, False, True),
    "the same, and they came together before": (True, False, True, False),
    "only the cprUuid has": (False, True, False, False),
    "none has": (False, False, False, False),
    "nobody has met the cprUuid": (True, None, False, False),
}


@pytest.mark.parametrize("case", APART)
def test_two_names_of_two_people_are_apart(bench: Bench, case: str) -> None:
    """Where the upstream's own name has had a CPR and nothing has bound the two together."""
    own, uuid, together, apart = APART[case]
    bench.come(bench.cpr if own else None, bench.one if together else None)
    if uuid is not None:
        bench.come(bench.other_cpr if uuid else None, None, bench.one)
    assert bench.links.apart(bench.eppn, bench.one) == apart


def test_a_name_bound_to_another_cpr_uuid_is_apart_whoever_that_is(bench: Bench) -> None:
    """Also from a cprUuid that leads to the same person by now, or to nobody."""
    bench.owner(bench.one)
    assert bench.links.apart(bench.eppn, bench.other)
    bench.come(bench.cpr, None, bench.other)
    assert bench.links.apart(bench.eppn, bench.other)


def test_an_old_name_of_a_cpr_is_no_hindrance_to_its_next_holder(bench: Bench) -> None:
    """After twelve months it leads nowhere, unless the cprUuid is another borrower's or the name knew its own."""
    bench.owner()
    bench.world.now += timedelta(days=366)
    bench.come(None, None, bench.one)
    assert not bench.links.apart(bench.eppn, bench.one)
    bench.come(bench.other_cpr, None, bench.one)
    assert bench.links.apart(bench.eppn, bench.one)


def test_what_is_contested_leads_nowhere_until_staff_have_looked(bench: Bench) -> None:
    """The name is disputed, and after the retry forgotten."""
    first = bench.owner()
    rival = bench.links.contested(bench.eppn, bench.said(bench.one))
    assert (rival.case, rival.number, rival.id != first.id) == ("cpr_changed", None, True)
    assert bench.come(None, None).case == "cpr_changed"
    assert bench.world.cases.retry(bench.world.live.dispute(bench.eppn, bench.one).id)
    assert bench.come(None, None).case is None


def test_the_second_name_of_a_login_learns_the_first(bench: Bench) -> None:
    """Where the cprUuid leads, the eppn beside it learns it, if both lead to one person; a stranger's does not."""
    first = bench.owner()
    bench.links.learn(bench.eppn, "somebody else", bench.said(bench.other))
    bench.links.learn(bench.eppn, first.id, bench.said(bench.one))
    bench.links.learn(bench.eppn, first.id, bench.said(bench.other))
    assert bench.come(None, bench.one) == first
    assert bench.come(None, bench.other).case == "cpr_changed"
