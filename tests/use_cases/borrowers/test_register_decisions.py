"""What staff decide of a changed number, beside logins and look-ups that come between any two of its writes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.registered_person import Residence
from broker.core.ports import Key
from broker.use_cases.identity.person_resolution import PersonNames
from tests.use_cases.borrowers.conftest import CPR, Logins
from tests.use_cases.borrowers.test_look_up import CHANGED, NEW, PERSON, REFRESH, Desk, login, named
from tests.use_cases.borrowers.test_look_up import _desk as desk

__all__ = ["desk"]

OTHER: Final = "0303990000"


def came(desk: Desk, cpr: str, name: str = "aase@au.dk") -> Any:
    """Log somebody in by a name that came with the old number before; give why they are held back."""
    links = desk.world.links
    own = links.of_name("eppn au", name)
    if links.cpr(own) is None:
        links.by_cpr(links.of_cpr(CPR), own)
    persons = Logins(desk.world).persons()
    return persons.person(PersonNames(cpr=links.of_cpr(cpr), own=own)).case


def changed(desk: Desk, told: str | None = None) -> str:
    """Have the register say that the number was changed; give the id of the case."""
    desk.enrol()
    desk.register.person = replace(CHANGED, current_number=told)
    desk.run()
    return str(desk.case()["id"])


def at_write(desk: Desk, monkeypatch: pytest.MonkeyPatch, at: int, meanwhile: Callable[[], object]) -> None:
    """Have another worker do something before the write ``at`` of the case."""
    plain = desk.world.store.put
    writes = []

    def put(key: Key, *given: Any, **how: Any) -> Any:
        if key.name == "register":
            writes.append(key)
            if len(writes) == at:
                meanwhile()
        return plain(key, *given, **how)

    monkeypatch.setattr(desk.world.store, "put", put)


def test_a_case_that_staff_end_lets_the_old_number_make_an_account_again(desk: Desk) -> None:
    """They said retry by mistake, and the register its answer again: by the end they say that the number is theirs."""
    world, library = desk.world, desk.world.library
    library.add(CPR, Borrower("8", "STUD", cpr=CPR))
    assert desk.cases.retry(changed(desk, NEW))
    login(desk)
    desk.run()
    assert desk.cases.end(str(desk.case()["id"]))
    del library.borrowers["8"], library.cprs["8"]
    world.now += timedelta(hours=2)
    world.live.want(world.wish())
    assert world.settle().state is EnrolmentState.DONE


@pytest.mark.parametrize("decision", ["retry", "end"])
@pytest.mark.parametrize("told", [NEW, None], ids=["told", "kept to itself"])
def test_a_name_that_comes_while_an_answer_is_listed_is_held_back_by_a_case(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, told: str | None, decision: str
) -> None:
    """Neither write is lost to the other: whoever is barred is let in once staff decide."""
    links = desk.world.links
    named(desk, CPR)
    changed(desk)
    desk.world.now += REFRESH + desk.world.ports.trust_for
    desk.register.person = replace(CHANGED, current_number=told)
    login(desk)
    at_write(desk, monkeypatch, 1, lambda: came(desk, OTHER))
    desk.run()
    monkeypatch.undo()
    assert not told or links.is_barred(NEW)
    assert getattr(desk.cases, decision)(str(desk.case()["id"]))
    assert not links.is_barred(OTHER)
    assert not links.is_barred(NEW)


@pytest.mark.parametrize("decision", ["retry", "end"])
def test_a_name_that_comes_while_staff_decide_is_not_held_back_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    """No case would name its number any more, and nobody could let it in."""
    case = changed(desk)
    came(desk, NEW)
    at_write(desk, monkeypatch, 1, lambda: came(desk, OTHER, "another@au.dk"))
    assert getattr(desk.cases, decision)(case)
    monkeypatch.undo()
    barred = [desk.world.links.is_barred(cpr) for cpr in (NEW, OTHER)]
    assert barred == [False, False] or desk.case()


def test_staff_who_decide_while_a_name_is_held_back_leave_it_no_bar(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the case that names it and its bar: nobody could lift the bar of no case."""
    case = changed(desk)
    links = type(desk.world.links)
    plain = links.hold_back

    def hold_back(self: Any, *given: Any) -> None:
        desk.cases.retry(case)
        plain(self, *given)

    monkeypatch.setattr(links, "hold_back", hold_back)
    came(desk, NEW)
    monkeypatch.undo()
    assert not desk.world.links.is_barred(NEW)


def test_a_changed_number_stays_one_whatever_the_register_says_next(desk: Desk) -> None:
    """The case has another reason by then, and holds the number back: by the old one nobody is made."""
    world, library = desk.world, desk.world.library
    library.add(CPR, Borrower("8", "STUD", cpr=CPR))
    changed(desk, NEW)
    world.now += REFRESH + world.ports.trust_for
    desk.register.person = None
    login(desk)
    desk.run()
    assert desk.case()["reason"] == "register_unclear"
    library.add(NEW, replace(library.borrowers["8"], cpr=NEW))
    world.now += timedelta(hours=2)
    world.live.want(world.wish())
    world.settle()
    assert desk.cases.retry(str(next(r["id"] for r in desk.cases.rows() if r["reason"] == "register_unclear")))
    world.now += timedelta(hours=2)
    world.live.want(world.wish())
    world.settle()
    assert len(library.borrowers) == 1


def test_a_name_that_comes_with_a_third_number_loses_no_bar(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process died before it told the second: that is told with the third."""
    named(desk, CPR)
    case = changed(desk)
    with monkeypatch.context() as dying:
        dying.setattr(type(desk.cases), "another_cpr", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            named(desk, NEW)
    assert named(desk, OTHER).case == "cpr_number_changed"
    assert named(desk, NEW).case == "cpr_number_changed"
    assert desk.cases.retry(case)


@pytest.mark.parametrize("last", [CPR, OTHER], ids=["back", "twice"])
def test_a_name_that_came_with_several_numbers_holds_back_each(desk: Desk, last: str) -> None:
    """The university sends the old one again, or a third, before the register answers."""
    named(desk, CPR)
    desk.enrol()
    for cpr in (NEW, last):
        named(desk, cpr)
    desk.register.person = CHANGED
    desk.run()
    desk.world.live.want(desk.world.wish(cpr=NEW))
    desk.world.settle()
    assert list(desk.world.library.borrowers) == ["1"]


@pytest.mark.parametrize("decision", ["retry", "end", "confirm"])
@pytest.mark.parametrize("then", ["another number", "dead", "another borrower", "unclear"])
def test_what_staff_have_not_seen_is_decided_by_no_id_that_they_have(desk: Desk, then: str, decision: str) -> None:
    """They look, write the number that is told into the borrower, and type an hour later: the case says otherwise."""
    world = desk.world
    world.links.by_cpr(world.links.of_cpr(CPR))
    seen = changed(desk, NEW)
    if then == "another borrower":
        world.library.add(NEW, Borrower("9", "STUD", cpr=NEW))
    answers = {
        "another number": replace(CHANGED, current_number=OTHER),
        "dead": replace(PERSON, residence=Residence.DEAD, address=None),
        "another borrower": replace(CHANGED, current_number=NEW),
        "unclear": None,
    }
    desk.register.person = answers[then]
    world.now += REFRESH + timedelta(days=1)
    login(desk)
    desk.run()
    arguments = ("1",) if decision == "confirm" else ()
    assert not getattr(desk.cases, decision)(seen, *arguments)
    case = desk.case()
    assert case["id"] != seen
    assert world.links.is_barred(NEW)
    assert desk.cases.end(str(case["id"]))


def test_a_case_that_says_the_same_again_keeps_its_id(desk: Desk) -> None:
    """Staff may be at it for months; a name that has come since changes nothing of what they decide."""
    seen = changed(desk)
    assert came(desk, NEW)
    world = desk.world
    world.now += REFRESH + timedelta(days=1)
    login(desk)
    desk.run()
    assert desk.case()["id"] == seen
    assert desk.cases.retry(seen)
