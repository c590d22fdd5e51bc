"""The one question about a person's borrower, and how long the library system's word is believed."""

from dataclasses import replace
from datetime import date, timedelta
from threading import Semaphore
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.wanted_borrower import WishedField
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.use_cases.borrowers.known_borrower import KnownBorrower, Who
from tests.use_cases.conftest import AASE

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


OTHERS = Borrower("5", "STUD", born=date(1999, 1, 1), fields={"surname": "Skov", "firstname": "Ida"})


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ((), NOBODY),
        ((Borrower("5", "STUD"),), KnownBorrower(Who.ONE, "5")),
        ((Borrower("5", "STUD"), Borrower("6", "STUD")), case("several_borrowers", "5", "6")),
        ((OTHERS,), case("different_person", "5")),
    ],
    ids=["none", "one", "two", "a stranger's"],
)
def test_a_cpr_finds_one_none_or_a_case(world: Any, found: tuple[Borrower, ...], answer: KnownBorrower) -> None:
    """Two borrowers, or one with another name, are nobody's account; the question writes no case itself."""
    for borrower in found:
        world.library.add(CPR, borrower)
    assert world.live.question.who(CPR, AASE) == answer
    assert [row["state"] for row in world.cases.rows()] == (["done"] if answer.number else [])


@pytest.mark.parametrize("error", [LibraryUnavailable("down"), LibraryRefused("no such right")])
def test_a_silent_library_leaves_what_is_remembered(world: Any, there: Borrower, error: Exception) -> None:
    """However old; where nothing is, nobody is told that there is no account."""
    world.hooks.before["find"] = failing(error)
    assert world.live.question.who(CPR, AASE) == KnownBorrower(Who.UNKNOWN)
    assert world.live.question.who(CPR, AASE).number == there.number
    world.now += timedelta(days=300)
    world.hooks.before["find"] = failing(error)
    assert world.live.question.who(CPR, AASE).number == there.number


@pytest.mark.parametrize("trust_for", [HOUR, timedelta(minutes=5)])
def test_the_word_of_the_library_is_believed_for_the_time_that_is_set(
    world: Any, there: Borrower, trust_for: timedelta
) -> None:
    """Within it a known borrower costs no call, whether it must be so or must only be there; after it one."""
    world.ports = replace(world.ports, trust_for=trust_for)
    world.live = world.enrolments("live")
    for _ in range(2):
        assert world.known(world.wish()).enrolment.number == there.number
        assert world.live.question.who(CPR, AASE, world.wish()).number == there.number
        assert asked(world) == ["find"]
        world.now += trust_for - MOMENT
        assert world.known(world.wish()).enrolment
        assert world.live.question.who(CPR, AASE).number == there.number
        assert asked(world) == []
        world.now += MOMENT


def test_who_needs_a_borrower_and_who_makes_one_share_one_look(world: Any, there: Borrower) -> None:
    """A look for a service that needs one holds the borrower against the wish, too."""
    assert world.live.question.who(CPR, AASE, world.wish()).number == there.number
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
    assert world.live.question.who(CPR, AASE, wish, to_be=to_be) == NOBODY
    for _ in range(2):
        assert world.live.question.who(CPR, AASE) == NOBODY
    world.library.add(CPR, replace(merged, cpr=CPR))
    assert world.live.question.who(CPR, AASE).number == "6"


def test_a_borrower_that_was_gone_is_not_believed_in_again(world: Any, there: Borrower) -> None:
    """A login that had to look has found so, within the time that it would be believed: silence changes nothing."""
    assert world.known(world.wish()).number == there.number
    world.library.borrowers.clear()
    world.library.cprs.clear()
    assert world.known(world.wish(category="EMPL")) == NOBODY
    world.hooks.before["find"] = DOWN
    assert world.live.question.who(CPR, AASE) == KnownBorrower(Who.UNKNOWN)
    assert world.live.question.who(CPR, AASE) == NOBODY


def test_a_borrower_that_is_gone_is_gone_for_every_later_login(world: Any, there: Borrower) -> None:
    """Whatever wish it was that looked: not within the time that it would be believed, nor in a silence."""
    assert world.live.question.who(CPR, AASE, world.wish()).number == there.number
    world.library.borrowers.clear()
    world.library.cprs.clear()
    assert world.known(world.wish(category="EMPL")) == NOBODY
    assert world.live.question.who(CPR, AASE) == NOBODY
    world.now += HOUR
    world.hooks.before["find"] = DOWN
    assert world.live.question.who(CPR, AASE) == KnownBorrower(Who.UNKNOWN)
    world.hooks.before["read"] = DOWN


def test_another_that_the_cpr_finds_by_now_is_the_persons(world: Any, there: Borrower) -> None:
    """The desk moved the person to another record: the CPR leads, and what was remembered is no case."""
    assert world.known(world.wish()).number == there.number
    del world.library.cprs["5"]
    world.library.add(CPR, replace(there, number="6"))
    world.now += HOUR
    assert world.known(world.wish()).number == "6"
    assert [row["state"] for row in world.cases.rows()] == ["done"]


@pytest.mark.parametrize(
    ("change", "number"),
    [({}, "1"), ({"cpr": CPR}, "1"), ({"cpr": OTHER}, None), ({"mark": "another"}, None), ({"mark": None}, None)],
    ids=["ours", "with the number in another field", "another's", "another mark", "no mark"],
)
def test_one_that_we_made_is_the_persons_under_another_number(
    world: Any, change: dict[str, Any], number: str | None
) -> None:
    """Staff gave it another card since; without our mark or with another CPR number it is not."""
    world.live.want(world.wish())
    world.settle()
    world.library.cprs.clear()
    world.library.borrowers["1"] = replace(world.library.borrowers["1"], **change)
    world.now += HOUR
    assert world.live.question.who(CPR, AASE).number == number


def test_a_copy_of_what_we_made_is_nobodys(world: Any) -> None:
    """Staff copy a record for a sibling, mark and all: without the one that we know nobody is found."""
    world.live.want(world.wish())
    world.settle()
    copy = replace(world.library.borrowers.pop("1"), number="7")
    world.library.cprs.clear()
    world.library.borrowers["7"] = copy
    world.now += HOUR
    assert world.live.question.who(CPR, AASE) == NOBODY


@pytest.mark.parametrize(
    "change",
    [
        {"category": "EMPL"},
        {"fields": (WishedField("surname", "Eksempel", "always"),)},
        {"affiliation": "employee"},
        {"temporary": "9"},
    ],
)
def test_a_borrower_that_is_wished_otherwise_is_not_taken_for_known(
    world: Any, there: Borrower, change: dict[str, Any]
) -> None:
    """Another category, name or affiliation is looked at anew, however fresh the last look."""
    assert world.known(world.wish()).number == there.number
    world.known(world.wish(**change))
    assert asked(world)[:2] == ["find", "find"]


def test_an_expiry_that_comes_near_is_no_borrower_as_wished(world: Any, there: Borrower) -> None:
    """Half a year before it the login moves it on: it looks before it does."""
    assert world.known(world.wish()).enrolment
    world.ports = replace(world.ports, trust_for=timedelta(days=900))
    world.live = world.enrolments("live")
    world.now += timedelta(days=600)
    later = world.wish(expires=date(2030, 11, 25))
    asked(world)
    assert world.known(later) == KnownBorrower(Who.ONE, there.number)
    assert asked(world) == ["find"]


@pytest.mark.parametrize("state", [EnrolmentState.WANTED, EnrolmentState.CASE])
def test_a_look_overwrites_no_wish_that_waits_and_no_case(world: Any, there: Borrower, state: EnrolmentState) -> None:
    """It says whose the borrower is, and offers nothing that somebody has agreed to already."""
    wanted = world.live.want(world.wish(category="EMPL", upgrades=("STUD",)))
    key = world.live.person_key(CPR)
    world.records.amend(key, lambda entry: (replace(entry.enrolment, state=state), None))
    before = world.records.read(key)
    assert world.live.question.who(CPR, AASE).number == there.number
    assert world.known(world.wish(category="EMPL", upgrades=("STUD",))) == KnownBorrower(Who.ONE, "5")
    assert world.records.read(key) == before
    assert before.enrolment.id == wanted.id


@pytest.mark.parametrize("mode", ["observe", "frozen"])
def test_what_a_look_finds_is_written_in_live_mode_only(world: Any, there: Borrower, mode: Any) -> None:
    """Observe and frozen know the borrower too, and leave nothing."""
    assert world.known(world.wish(), mode).number == there.number
    assert list(world.cases.rows()) == []


@pytest.mark.parametrize("free", [0, 1])
def test_without_a_free_slot_the_library_is_not_asked(world: Any, there: Borrower, free: int) -> None:
    """A slow library never holds every thread, and each slot is given back."""
    slots = Semaphore(free)
    question = replace(world.live.question, waiting_slots=slots)
    assert question.who(CPR, AASE) == (KnownBorrower(Who.ONE, there.number) if free else KnownBorrower(Who.UNKNOWN))
    assert asked(world) == ["find"] * free
    assert slots.acquire(blocking=False) == bool(free)


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
        assert world.live.stored(CPR).reason == "several_borrowers"
    else:
        assert calls == ["find"]
        assert len(world.library.borrowers) == 1
