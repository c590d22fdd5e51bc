"""Looks that staff ask for: what the library system has now, and nothing that is remembered."""

from dataclasses import replace
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryUnavailable
from broker.core.ports import Key
from broker.use_cases.borrowers.borrower_look import BorrowerLook, Found
from broker.use_cases.borrowers.enrolment_ports import Mode
from broker.use_cases.borrowers.known_borrower import Who
from tests.use_cases.conftest import AASE

CPR, OTHER = "0101990000", "0202990000"


def look(world: Any, mode: Mode = "live") -> BorrowerLook:
    """Give the look of a broker in a mode."""
    return BorrowerLook(world.enrolments(mode).question)


@pytest.fixture
def made(world: Any) -> Any:
    """Give the enrolment of a student whose borrower was made a moment ago."""
    world.live.want(world.wish())
    world.settle()
    return world.records.read(Key("enrolment", world.links.of_cpr(CPR)))


@pytest.mark.parametrize(("cpr", "said"), [(CPR, "the person's"), (OTHER, "another's"), (None, "none")])
def test_whose_number_the_borrower_has_is_said(world: Any, made: Any, cpr: str | None, said: str) -> None:
    """Staff may have typed it into a stranger's record."""
    world.library.borrowers["1"] = replace(world.library.borrowers["1"], cpr=cpr)
    [looked] = look(world).at(made)
    assert (looked.number, looked.found, looked.cpr) == ("1", Found.THERE, said)
    assert look(world).at_number("1").cpr == said


def test_what_was_remembered_is_believed_no_more(world: Any, made: Any) -> None:
    """By the enrolment or by the number: the next question asks, however lately the last one did."""
    for asked in (lambda: look(world).at(made), lambda: look(world).at_number("1")):
        assert world.live.question.who(CPR, AASE).who is Who.ONE
        world.hooks.calls.clear()
        assert world.live.question.who(CPR, AASE).who is Who.ONE
        assert "find" not in world.hooks.calls
        asked()
        world.hooks.calls.clear()
        assert world.live.question.who(CPR, AASE).who is Who.ONE
        assert "find" in world.hooks.calls


def test_a_library_that_does_not_answer_is_asked_at_the_next_login(world: Any, made: Any) -> None:
    """What is remembered is doubted from the moment that staff ask, whatever comes of it."""

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["read"] = down
    with pytest.raises(LibraryUnavailable):
        look(world).at(made)
    assert world.live.stored(CPR).settled is None


@pytest.mark.parametrize("mode", ["observe", "frozen"])
def test_a_look_writes_nothing_unless_live(world: Any, made: Any, mode: Mode) -> None:
    """It says what is there all the same."""
    before = world.live.stored(CPR)
    assert [each.found for each in look(world, mode).at(made)] == [Found.THERE]
    assert world.live.stored(CPR) == before


def test_of_a_case_every_borrower_is_looked_at(world: Any) -> None:
    """Those that were found then, and those that the CPR number finds by now; the case and its wish stay."""
    for number in ("8", "9"):
        world.library.add(CPR, Borrower(number, "PRIV"))
    world.live.want(world.wish())
    case = world.settle()
    del world.library.borrowers["9"], world.library.cprs["9"]
    world.library.add(CPR, Borrower("10", "PRIV"))
    entry = world.records.read(Key("enrolment", world.links.of_cpr(CPR)))
    found = {each.number: each.found for each in look(world).at(entry)}
    assert found == {"8": Found.THERE, "10": Found.THERE, "9": Found.GONE}
    assert world.live.stored(CPR) == case


def test_a_number_that_nobody_remembers_is_said_to_be_unknown(world: Any) -> None:
    """It was mistyped, rather than deleted."""
    assert look(world).at_number("77").found is Found.NEVER
    world.library.add(OTHER, Borrower("78", "PRIV", cpr=OTHER))
    there = look(world).at_number("78")
    assert (there.found, there.cpr) == (Found.THERE, None)


def test_a_wish_that_waits_is_left_as_it_is(world: Any) -> None:
    """A worker may be at it, and looks itself."""
    waiting = world.live.want(world.wish(), world.now)
    assert look(world).at(world.records.read(Key("enrolment", world.links.of_cpr(CPR)))) == ()
    assert world.live.stored(CPR) == waiting
