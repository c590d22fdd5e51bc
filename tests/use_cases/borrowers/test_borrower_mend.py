"""A mend of one borrower: of what is still as it was compared, and never against staff or the person."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState, Granted
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import LibraryUnavailable
from broker.core.retention.table import DECLINED
from broker.use_cases.borrowers.borrower_at_login import declined_key
from broker.use_cases.borrowers.category_letters import CategoryLetters
from tests.use_cases.borrowers.test_reconciliation import LATER, PAST, Population

CPR: Final = "0000000001"
GRANTED: Final = Granted("student", "STUD", LATER, "en")


@pytest.fixture
def population(world: Any, trail: Any) -> Population:
    """Give nobody yet."""
    return Population(world, trail)


def down() -> None:
    """Be silent."""
    raise LibraryUnavailable("down")


def desk_changes(population: Population, **changes: Any) -> None:
    """Let the desk change the borrower with number 1."""
    shelf = population.world.library.borrowers
    shelf["1"] = replace(shelf["1"], **changes)


def login(population: Population, **changes: Any) -> Enrolment:
    """Let the person come as a student, and carry out what that wishes."""
    world = population.world
    wish = Wish(CPR, "student", "STUD", ("PRIV",), LATER, (), None)
    world.live.want(replace(wish, **changes))
    world.settle()
    stored = world.live.stored(CPR)
    assert isinstance(stored, Enrolment)
    return stored


def renewed(population: Population) -> None:
    """Let the desk give the borrower two years more."""
    desk_changes(population, expires=LATER)


def made_anew(population: Population) -> None:
    """Let the desk delete the borrower, and make another for the same number."""
    library = population.world.library
    del library.borrowers["1"], library.cprs["1"]
    library.add(CPR, Borrower("99", "STUD", LATER, "desk", cpr=CPR, card=CPR))


@pytest.mark.parametrize("staff", [renewed, made_anew])
def test_a_mend_that_failed_is_never_carried_out_later(
    population: Population, staff: Callable[[Population], None]
) -> None:
    """Nothing of it waits for the worker: what staff do meanwhile stays, of this borrower or another."""
    population.add(1, "leaver")
    population.world.hooks.before["change"] = down
    run = population.run()
    list(run.findings())
    assert run.stopped == f"{1:032x}: library_unavailable: down"
    stored = population.world.live.stored(CPR)
    assert (stored.state, stored.wish) == (EnrolmentState.DONE, None)
    staff(population)
    before = dict(population.world.library.borrowers)
    population.world.settle()
    assert population.world.library.borrowers == before


def test_whoever_was_renewed_since_the_look_is_left(population: Population) -> None:
    """A portion is looked at ahead of the mends: each is looked at again under its lease."""
    for serial in range(1, 5):
        population.add(serial, "leaver")
    run = population.run()
    run.side_by_side = lambda look, keys: list(map(look, keys))
    findings = run.findings()
    mended = next(findings)
    shelf = population.world.library.borrowers
    for number in set(shelf) - {mended.number}:
        shelf[number] = replace(shelf[number], expires=LATER)
    assert {each.outcome for each in findings} == {"under way"}
    assert sorted((each.category, each.expires) for each in shelf.values()) == [("PRIV", PAST), *3 * [("STUD", LATER)]]


def test_a_change_between_look_and_change_is_left(population: Population) -> None:
    """The CPR number leads to a borrower that differs from the one that was compared a moment ago."""
    population.add(1, "leaver")
    population.world.hooks.before["find"] = lambda: renewed(population)
    (busy,) = population.run().findings()
    assert busy.outcome == "under way"
    assert population.world.library.borrowers["1"].category == "STUD"


def test_a_login_during_a_mend_is_no_surprise(population: Population) -> None:
    """Its wish counts, and the run goes on."""
    population.add(1, "category")
    world = population.world
    wish = Wish(CPR, "student", "STUD", ("PRIV",), date(2029, 1, 1), (), None)
    world.hooks.after["change"] = lambda: world.live.want(wish)
    run = population.run()
    assert [each.outcome for each in run.findings()] == ["under way"]
    assert (run.ended, world.live.stored(CPR).wish) == (True, wish)


def test_whoever_keeps_the_category_at_a_login_is_not_raised(population: Population) -> None:
    """Nothing stands granted any more but what the person answers next time."""
    population.add(1)
    desk_changes(population, category="PRIV")
    population.world.now += timedelta(days=2)
    assert login(population, upgrade=False).granted is None
    assert list(population.run().findings()) == []
    assert population.world.library.borrowers["1"].category == "PRIV"
    population.world.now += timedelta(days=2)
    raised = login(population).granted
    assert raised is not None
    assert (raised.category, raised.expires) == ("STUD", LATER)


def test_whoever_has_said_no_is_told_and_not_raised(population: Population) -> None:
    """The answer is remembered, though no enrolment followed on it."""
    population.add(1, "category")
    ports, store = population.world.ports, population.world.store
    key = declined_key(ports.hmacs, ports.links.holder(population.world.live.person_key(CPR).group))
    now = ports.now()
    store.count(key, 1, DECLINED.until(now), now)
    assert [each.kinds for each in population.run().findings()] == [("kept_by_person",)]
    assert population.world.library.borrowers["1"].category == "PRIV"


def test_what_staff_gave_is_not_granted_by_a_mend(population: Population) -> None:
    """A mark written again grants nothing: a mend later does not lower what nobody was granted."""
    population.add(1, "mark")
    desk_changes(population, category="EMPL", expires=date(2027, 6, 1))
    assert [each.outcome for each in population.run().findings()] == ["left", "mended"]
    assert population.world.live.stored(CPR).granted == GRANTED
    population.world.now = population.world.now.replace(year=2027, month=7)
    list(population.run().findings())
    assert population.world.library.borrowers["1"].category == "EMPL"


@pytest.mark.parametrize(
    "differs", [{"expires": date(2026, 11, 20)}, {"card": None}, {"mark": None, "category": "PRIV"}]
)
def test_nobody_opens_the_borrower_of_whoever_is_not_let_in(population: Population, differs: dict[str, Any]) -> None:
    """The register has said that its person is dead: it is told, and stays as staff leave it."""
    population.add(1)
    links = population.world.links
    owner = links.of_cpr(CPR)
    links.by_cpr(owner)
    links.bar(owner, "person_dead")
    desk_changes(population, **differs)
    before = population.world.library.borrowers["1"]
    assert [each.kinds for each in population.run().findings()] == [("barred",)]
    assert population.world.library.borrowers["1"] == before


def test_two_borrowers_stop_the_run_and_make_no_case(population: Population) -> None:
    """Staff see the numbers; the person's next login finds out for itself."""
    population.add(1, "expiry")
    population.world.library.add(CPR, Borrower("9", "STUD", LATER, None, cpr=CPR, card="x"))
    run = population.run()
    assert list(run.findings()) == []
    assert run.stopped == f"{1:032x}: two_borrowers: 1, 9"
    assert population.world.live.stored(CPR).state is EnrolmentState.DONE


def test_a_mend_that_works_the_next_day_is_told_once(population: Population) -> None:
    """The letter that was queued with the failure is the letter of the change."""
    population.add(1, "leaver")
    population.world.hooks.before["change"] = down
    list(population.run().findings())
    population.world.now += timedelta(days=1)
    letters = CategoryLetters(population.world.ports)
    letters.step()
    list(population.run().findings())
    for _ in range(12):
        population.world.now += timedelta(hours=1)
        while letters.step():
            pass
    assert len(population.world.post.sent) == 1


def test_a_letter_never_reaches_another_person(population: Population) -> None:
    """The borrower's number was another's by the time that the letter was written."""
    population.add(1, "pin_unused")
    list(population.run().findings())
    desk_changes(population, cpr="2222222222", mark="x", email="other@example.org")
    assert CategoryLetters(population.world.ports).step()
    assert population.world.post.sent == []
