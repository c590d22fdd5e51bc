"""The one question about a person's borrower, and how long the library system's word is believed."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.use_cases.borrowers.known_borrower import KnownBorrower, Who

CPR: Final = "0101990000"
OTHER: Final = "0202990000"
HOUR: Final = timedelta(hours=1)
MOMENT: Final = timedelta(microseconds=1)
NOBODY: Final = KnownBorrower(Who.NONE)


def failing(error: Exception) -> Any:
    """Give a hook that fails."""

    def fail() -> None:
        raise error

    return fail


DOWN: Final = failing(LibraryUnavailable("down"))


@pytest.fixture
def there(world: Any) -> Borrower:
    """Put a student as wished on the shelf."""
    student = Borrower("5", "STUD", world.wish().expires, fields={"surname": "Prøvesen"}, cpr=CPR)
    borrower: Borrower = world.library.add(CPR, student)
    return borrower


def case(reason: str, *numbers: str) -> KnownBorrower:
    """Give the answer that staff must look at these borrowers."""
    return KnownBorrower(Who.CASE, reason=reason, borrowers=numbers)


def asked(world: Any) -> list[str]:
    """Give what the library was asked, and forget it."""
    calls = [call for call in world.hooks.calls if call in {"find", "read", "marked"}]
    world.hooks.calls.clear()
    return calls


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ((), NOBODY),
        ((Borrower("5", "STUD"),), KnownBorrower(Who.ONE, "5")),
        ((Borrower("5", "STUD"), Borrower("6", "STUD")), case("two_borrowers", "5", "6")),
        ((Borrower("5", "STUD", born=date(1944, 5, 6)),), case("birth_date_differs", "5")),
    ],
    ids=["none", "one", "two", "a stranger's"],
)
def test_a_cpr_finds_one_none_or_a_case(world: Any, found: tuple[Borrower, ...], answer: KnownBorrower) -> None:
    """Two borrowers, or one with another date of birth, are nobody's account; the question writes no case itself."""
    for borrower in found:
        world.library.add(CPR, borrower)
    assert world.live.question.who(CPR) == answer
    assert [row["state"] for row in world.cases.rows()] == (["done"] if answer.number else [])


@pytest.mark.parametrize("error", [LibraryUnavailable("down"), LibraryRefused("no such right")])
def test_a_silent_library_leaves_what_is_remembered(world: Any, there: Borrower, error: Exception) -> None:
    """However old; where nothing is, nobody is told that there is no account."""
    world.hooks.before["find"] = failing(error)
    assert world.live.question.who(CPR) == KnownBorrower(Who.UNKNOWN)
    assert world.live.question.who(CPR).number == there.number
    world.now += timedelta(days=300)
    world.hooks.before["find"] = failing(error)
    assert world.live.question.who(CPR).number == there.number


@pytest.mark.parametrize("trust_for", [HOUR, timedelta(minutes=5)])
def test_the_word_of_the_library_is_believed_for_the_time_that_is_set(
    world: Any, there: Borrower, trust_for: timedelta
) -> None:
    """Within it a known borrower costs no call, whether it must be so or must only be there; after it one."""
    world.ports = replace(world.ports, trust_for=trust_for)
    world.live = world.enrolments("live")
    for _ in range(2):
        assert world.known(world.wish()).enrolment.number == there.number
        assert world.live.question.who(CPR, world.wish()).number == there.number
        assert asked(world) == ["find"]
        world.now += trust_for - MOMENT
        assert world.known(world.wish()).enrolment
        assert world.live.question.who(CPR).number == there.number
        assert asked(world) == []
        world.now += MOMENT


def test_who_needs_a_borrower_and_who_makes_one_share_one_look(world: Any, there: Borrower) -> None:
    """A look for a service that needs one holds the borrower against the wish, too."""
    assert world.live.question.who(CPR, world.wish()).number == there.number
    assert world.known(world.wish()).enrolment
    assert asked(world) == ["find"]


@pytest.mark.parametrize("made", [True, False], ids=["we made it", "the desk did"])
@pytest.mark.parametrize("to_be", [True, False])
def test_a_borrower_that_is_gone_is_not_handed_on(world: Any, there: Borrower, *, made: bool, to_be: bool) -> None:
    """Deleted or merged: looked for by the CPR again, and forgotten within the time that it would be believed."""
    wish = world.wish(fields=())
    if made:
        world.library.borrowers.clear()
        world.library.cprs.clear()
        world.live.want(wish)
        world.settle()
    assert world.known(wish).number == ("1" if made else there.number)
    merged = world.library.add(OTHER, replace(there, number="6", cpr=OTHER))
    del world.library.borrowers["1" if made else "5"], world.library.cprs["1" if made else "5"]
    world.now += HOUR
    assert world.live.question.who(CPR, wish, to_be=to_be) == NOBODY
    for _ in range(2):
        assert world.live.question.who(CPR) == NOBODY
    world.library.add(CPR, replace(merged, cpr=CPR))
    assert world.live.question.who(CPR).number == "6"


def test_a_borrower_that_was_gone_is_not_believed_in_again(world: Any, there: Borrower) -> None:
    """A login that had to look has found so, within the time that it would be believed: silence changes nothing."""
    assert world.known(world.wish()).number == there.number
    world.library.borrowers.clear()
    world.library.cprs.clear()
    assert world.known(world.wish(category="EMPL")) == NOBODY
    world.hooks.before["find"] = DOWN
    assert world.live.question.who(CPR) == KnownBorrower(Who.UNKNOWN)
    assert world.live.question.who(CPR) == NOBODY


def test_a_borrower_that_is_gone_is_gone_for_every_later_login(world: Any, there: Borrower) -> None:
    """Whatever wish it was that looked: not within the time that it would be believed, nor in a silence."""
    assert world.live.question.who(CPR, world.wish()).number == there.number
    world.library.borrowers.clear()
    world.library.cprs.clear()
    assert world.known(world.wish(category="EMPL")) == NOBODY
    assert world.live.question.who(CPR) == NOBODY
    world.now += HOUR
    world.hooks.before["find"] = DOWN
    assert world.live.question.who(CPR) == KnownBorrower(Who.UNKNOWN)
    world.hooks.before["read"] = DOWN


def test_another_that_the_cpr_finds_by_now_is_the_persons(world: Any, there: Borrower) -> None:
    """The desk moved the person to another record: the CPR leads, and what was remembered is no case."""
    assert world.known(world.wish()).number == there.number
    del world.library.cprs["5"]
    world.library.add(CPR, replace(there, number="6"))
    world.now += HOUR
    assert world.known(world.wish()).number == "6"
    assert [row["state"] for row in world.cases.rows()] == ["done"]


def test_a_borrower_of_several_with_one_number_is_not_the_only_one(world: Any, there: Borrower) -> None:
    """Nor is one that the number does not find."""
    assert world.live.question.is_only(there, CPR)
    assert not world.live.question.is_only(replace(there, number="6"), CPR)
    world.library.add(CPR, replace(there, number="6"))
    assert not world.live.question.is_only(there, CPR)
    assert not world.live.question.is_only(there, OTHER)


def enrolled(world: Any) -> list[str]:
    """Carry out what is due, and give what the library was asked until the account stood."""
    world.live.step()
    calls = [call for call in world.hooks.calls if call in {"find", "marked", "create", "change"}]
    world.hooks.calls.clear()
    return calls


def test_a_first_enrolment_looks_creates_and_counts(world: Any) -> None:
    """The look before the person is asked is the one before the create; the mark is searched where none is found."""
    assert world.known(world.wish()) == NOBODY
    world.live.want(world.wish(), world.now)
    assert enrolled(world) == ["find", "create", "find"]


@pytest.mark.parametrize("why", ["nobody looked", "too long ago", "it was sent before", "two are counted"])
def test_what_a_login_heard_is_no_licence_to_make_a_second_borrower(world: Any, why: str) -> None:
    """Where nobody has looked lately, or a create is on its way, the look comes first; else the count finds two."""
    absent = None if why == "nobody looked" else world.now
    world.live.want(world.wish(), absent)
    if why == "too long ago":
        world.now += timedelta(minutes=5)
    if why == "it was sent before":
        world.hooks.after["create"] = DOWN
        assert enrolled(world) == ["create"]
        world.now += timedelta(minutes=1)
    else:
        world.library.unique = False
        world.library.add(CPR, Borrower("5", "STUD", world.wish().expires, fields={"surname": "Prøvesen"}))
    calls = enrolled(world)
    if why == "two are counted":
        assert calls == ["create", "find"]
        assert world.live.stored(CPR).reason == "two_borrowers"
    else:
        assert calls == ["find"]
        assert len(world.library.borrowers) == 1
