"""Every request of every call fails in every way: an outcome that can be trusted, nothing twice, and nobody quoted."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date, datetime
from functools import partial

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_system import LibraryCapability
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.ports import LibrarySystem
from tests.conformance.library_suite.overheard import Observations
from tests.conformance.library_suite.stage import Stage, Trouble
from tests.conformance.library_suite.values import (
    CPR,
    MARK,
    NEXT_PIN,
    OTHER_CPR,
    OTHER_MARK,
    PERSONAL,
    PIN,
    UNTIL,
    make_borrower,
    make_request,
    soon,
)

pytestmark = pytest.mark.library("faults", once=True)

Call = Callable[[LibrarySystem, Borrower, datetime], object]
MOST_REQUESTS = 12  # of one call
LONG_AFTER = 5  # seconds: ten times what a call was given
NO_VERDICT = (Trouble.NO_PAGE, Trouble.NO_ROUTE, Trouble.BAD_GATEWAY, Trouble.BROKEN)
SEARCHES = ("find", "read", "typed", "find_similar")
QUESTIONS = (*SEARCHES, "check_pin")
AT_ONCE = (Trouble.DOWN, Trouble.REFUSED, Trouble.HALF, Trouble.LOST)


def _upgrade(library: LibrarySystem, borrower: Borrower, by: datetime) -> object:
    return library.change(Change(borrower.number, (("firstname", "Aase"),), "EMPLOYEE", date(2029, 1, 31)), by)


CALLS: dict[str, Call] = {
    "find": lambda library, _, by: library.find(CPR, by),
    "read": lambda library, borrower, by: library.read(borrower.number, by),
    "typed": lambda library, _, by: library.find_typed(CPR, by),
    "find_similar": lambda library, borrower, by: library.find_similar(None, borrower.email, by),
    "create": lambda library, _, by: library.create(make_request(), MARK, by),
    "change": _upgrade,
    "set_pin": lambda library, borrower, by: library.set_pin(borrower.number, NEXT_PIN, by),
    "check_pin": lambda library, borrower, by: library.check_pin(borrower, PIN, by),
}


BOTH: dict[str, Call] = {
    "find": lambda library, borrower, by: library.find(borrower.cpr or "", by),
    "read": CALLS["read"],
    "typed": lambda library, borrower, by: library.find_typed(borrower.cpr or "", by),
    "change": CALLS["change"],
}


def _second(library: LibrarySystem, _: Borrower, by: datetime) -> object:
    return library.create(make_request(OTHER_CPR), OTHER_MARK, by)


def outcome(call: Callable[[], object]) -> object:
    """Return what a call gives, or which of the two errors; the stage sees to it that the error quotes nobody."""
    try:
        return call()
    except LibraryUnavailable:
        return LibraryUnavailable
    except LibraryRefused:
        return LibraryRefused


def struck(stage: Stage, trouble: Trouble, call: Callable[[], object]) -> list[object]:
    """Return the outcomes of a call whose first request fails, of one whose second does, until none of it fails."""
    outcomes: list[object] = []
    for after in range(MOST_REQUESTS):
        with stage.desk.cause_trouble(trouble, after) as strike:
            given = outcome(call)
        if not strike.struck:
            return outcomes
        outcomes.append(given)
    raise AssertionError(f"a call of more than {MOST_REQUESTS} requests")


@pytest.mark.parametrize("trouble", AT_ONCE)
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_rightly_or_not_at_all(stage: Stage, name: str, trouble: Trouble) -> None:
    """A borrower that is there is never said to be none, which would make a second; a right PIN never wrong."""
    borrower = make_borrower(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    call = partial(CALLS[name], stage.library, borrower, soon())
    right = call()
    outcomes = struck(stage, trouble, call)
    if name == "check_pin" and LibraryCapability.PIN_CHECKED not in stage.library.capabilities:
        assert outcomes == []
        return
    assert outcomes
    for given in outcomes:
        assert given in (right, LibraryUnavailable, LibraryRefused)
    assert outcomes[0] in {LibraryUnavailable, LibraryRefused}
    assert call() == right


@pytest.mark.parametrize("trouble", AT_ONCE)
def test_a_create_that_fails_is_made_once(stage: Stage, trouble: Trouble) -> None:
    """Whether it was done or not: repeated, it is made or there, and it is whole."""
    outcomes = struck(stage, trouble, lambda: stage.library.create(make_request(), MARK, soon()))
    assert outcomes
    for given in outcomes:
        assert given in {None, LibraryUnavailable, LibraryRefused} or isinstance(given, Borrower)
    outcome(lambda: stage.library.create(make_request(), MARK, soon()))
    assert stage.desk.count() == 1
    (borrower,) = stage.library.find(CPR, soon())
    assert borrower.mark == MARK
    assert (borrower.category, borrower.expires, borrower.email) == ("STUDENT", UNTIL, "aase@post.example")


@pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.REFUSED])
def test_a_create_that_fails_before_it_is_done_says_so(stage: Stage, trouble: Trouble) -> None:
    """It does not report an existing borrower, because a new search would find none."""
    for after in range(MOST_REQUESTS):
        with stage.desk.cause_trouble(trouble, after) as strike:
            given = outcome(lambda: stage.library.create(make_request(), MARK, soon()))
        if stage.desk.count():
            return
        assert strike.struck
        assert given in {LibraryUnavailable, LibraryRefused}
    raise AssertionError("a create that is never done")


@pytest.mark.parametrize("trouble", AT_ONCE)
def test_a_change_that_fails_is_whole_after_it_is_repeated(stage: Stage, trouble: Trouble) -> None:
    """Wherever it broke off; the rest of the borrower is as it was."""
    before = make_borrower(stage)
    assert struck(stage, trouble, lambda: _upgrade(stage.library, before, soon()))
    _upgrade(stage.library, before, soon())
    after = stage.library.read(before.number, soon())
    assert after is not None
    assert (after.category, after.expires, after.fields["firstname"]) == ("EMPLOYEE", date(2029, 1, 31), "Aase")
    assert (after.mark, after.email, after.cpr, after.card) == (before.mark, before.email, before.cpr, before.card)


@pytest.mark.parametrize("trouble", AT_ONCE)
def test_a_claim_that_fails_is_whole_after_it_is_repeated(stage: Stage, trouble: Trouble) -> None:
    """At each place where it may break off the borrower is as it was, or is found by its CPR number."""
    number = stage.desk.register("T-4711", "TEMP")

    def claim() -> object:
        return stage.library.change(Change(number, (), "STUDENT", UNTIL, CPR), soon())

    for after in range(MOST_REQUESTS):
        with stage.desk.cause_trouble(trouble, after) as strike:
            outcome(claim)
        found = [borrower.number for borrower in stage.library.find(CPR, soon())]
        read = stage.library.read(number, soon())
        assert read is not None
        assert found == [number] or (read.category, read.cpr) == ("TEMP", None)
        if not strike.struck:
            break
    claim()
    (borrower,) = stage.library.find(CPR, soon())
    assert (borrower.number, borrower.category, borrower.expires) == (number, "STUDENT", UNTIL)


@pytest.mark.parametrize("trouble", AT_ONCE)
def test_a_pin_that_fails_works_after_it_is_repeated(stage: Stage, trouble: Trouble) -> None:
    """Only what was refused, or never heard of, may be said to have failed for good."""
    number = make_borrower(stage).number
    outcomes = struck(stage, trouble, lambda: stage.library.set_pin(number, PIN, soon()))
    assert outcomes
    if trouble in {Trouble.LOST, Trouble.DOWN}:
        assert set(outcomes) == {LibraryUnavailable}
    stage.library.set_pin(number, PIN, soon())
    assert stage.desk.proves(CPR, PIN)


@pytest.mark.library(over_http=True)
@pytest.mark.parametrize("trouble", NO_VERDICT)
def test_an_answer_of_others_is_no_verdict(stage: Stage, trouble: Trouble) -> None:
    """A 404 that is not the system's own is not "there is none", and a 5xx is not a no: both are worth another try."""
    borrower = make_borrower(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    right = {name: CALLS[name](stage.library, borrower, soon()) for name in QUESTIONS}
    for name, call in {**CALLS, "create": _second}.items():
        outcomes = struck(stage, trouble, partial(call, stage.library, borrower, soon()))
        assert outcomes[:1] in ([], [LibraryUnavailable]), name
        for given in outcomes:
            is_done = given == right[name] if name in right else isinstance(given, Borrower)
            assert given is LibraryUnavailable or is_done, name
    assert stage.desk.count() == 2


@pytest.mark.library(over_http=True)
def test_an_answer_about_another_borrower_is_not_taken(stage: Stage) -> None:
    """Mixed up by a cache or a proxy, it would give a person somebody else's account."""
    mine = make_borrower(stage)
    other = stage.library.create(make_request(OTHER_CPR), OTHER_MARK, soon())
    assert other is not None
    for after in range(3):
        with stage.desk.cause_trouble(Trouble.ANOTHER, after):
            given = outcome(lambda: stage.library.create(make_request("0303820000"), "d" * 32, soon()))
        assert not isinstance(given, Borrower) or given.number != other.number
    for name, call in BOTH.items():
        call(stage.library, other, soon())
        for after in range(3):
            with stage.desk.cause_trouble(Trouble.ANOTHER, after):
                given = outcome(partial(call, stage.library, mine, soon()))
            found = given if isinstance(given, tuple) else [given]
            assert [each for each in found if isinstance(each, Borrower) and each.number != mine.number] == [], name
            assert given is not None, name


@pytest.mark.parametrize("name", list(CALLS))
def test_every_request_is_told(stage: Stage, observed: Observations, name: str) -> None:
    """To be counted and timed: no metric names a person, and a system that is down shows as one."""
    borrower = make_borrower(stage)
    call = partial(CALLS[name], stage.library, borrower, soon())
    observed.clear()
    call()
    told = list(observed)
    with stage.desk.cause_trouble(Trouble.DOWN) as strike:
        outcome(call)
    assert told or (name == "check_pin" and LibraryCapability.PIN_CHECKED not in stage.library.capabilities)
    for kind, result, seconds in observed:
        assert [value for value in PERSONAL if value in kind] == []
        assert result in {"done", "refused", "unavailable"}
        assert seconds >= 0
    assert {result for _, result, _ in told} <= {"done", "refused"}
    if strike.struck:
        assert "unavailable" in {result for _, result, _ in observed}


@pytest.mark.library(over_http=True)
def test_an_answer_that_trickles_is_read_until_the_deadline(stage: Stage) -> None:
    """Bytes that keep coming in time do not make it longer: the call as a whole has ended by then."""
    borrower = make_borrower(stage)
    with ThreadPoolExecutor(len(SEARCHES)) as threads:
        with stage.desk.cause_trouble(Trouble.TRICKLE):
            by = soon(0.5)
            begun = [threads.submit(outcome, partial(CALLS[name], stage.library, borrower, by)) for name in SEARCHES]
            wait(begun, timeout=LONG_AFTER)
        outcomes = [each.result() for each in begun]
    assert outcomes == [LibraryUnavailable] * len(SEARCHES)


def test_a_silent_system_is_waited_for_until_the_deadline(stage: Stage) -> None:
    """Every call waits until its deadline; a later one gets its answer."""
    borrower = make_borrower(stage)
    other = make_request(OTHER_CPR)
    asked = {**CALLS, "create": lambda library, _, by: library.create(other, "c" * 32, by)}
    if LibraryCapability.PIN_CHECKED not in stage.library.capabilities:
        del asked["check_pin"]
    with ThreadPoolExecutor(len(asked)) as threads:
        with stage.desk.cause_trouble(Trouble.SILENT):
            by = soon(0.5)
            begun = [threads.submit(outcome, partial(call, stage.library, borrower, by)) for call in asked.values()]
            wait(begun, timeout=LONG_AFTER)
        outcomes = [each.result() for each in begun]
    assert outcomes == [LibraryUnavailable] * len(asked)
