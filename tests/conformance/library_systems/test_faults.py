"""Lets every request of every call fail: outcomes are correct, no work is done twice, no error has personal values."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date, datetime
from functools import partial

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import LibraryCapability
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.ports import LibrarySystem
from tests.conformance.library_suite.observed_calls import Observations
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
LONG_AFTER = 5  # seconds: ten times the deadline of a call
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
    """Return the result of a call, or the class of its error; the library checks the error for personal values."""
    try:
        return call()
    except LibraryUnavailable:
        return LibraryUnavailable
    except LibraryRefused:
        return LibraryRefused


def struck(stage: Stage, trouble: Trouble, call: Callable[[], object]) -> list[object]:
    """Return the outcomes of a call whose first request fails, then its second, and so on until no request fails."""
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
def test_a_read_returns_the_truth_or_an_error(stage: Stage, name: str, trouble: Trouble) -> None:
    """An existing borrower is never missing, which would create a second one. A correct PIN is never wrong."""
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
def test_a_failed_create_can_be_repeated(stage: Stage, trouble: Trouble) -> None:
    """Whether the failed create was carried out or not, after the repetition there is one complete borrower."""
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
def test_a_create_that_was_not_carried_out_is_an_error(stage: Stage, trouble: Trouble) -> None:
    """It does not report an existing borrower: a new search would find none."""
    for after in range(MOST_REQUESTS):
        with stage.desk.cause_trouble(trouble, after) as strike:
            given = outcome(lambda: stage.library.create(make_request(), MARK, soon()))
        if stage.desk.count():
            return
        assert strike.struck
        assert given in {LibraryUnavailable, LibraryRefused}
    raise AssertionError("a create that is never done")


@pytest.mark.parametrize("trouble", AT_ONCE)
def test_a_failed_change_can_be_repeated(stage: Stage, trouble: Trouble) -> None:
    """After the repetition the change is complete, and other fields are unchanged."""
    before = make_borrower(stage)
    assert struck(stage, trouble, lambda: _upgrade(stage.library, before, soon()))
    _upgrade(stage.library, before, soon())
    after = stage.library.read(before.number, soon())
    assert after is not None
    assert (after.category, after.expires, after.fields["firstname"]) == ("EMPLOYEE", date(2029, 1, 31), "Aase")
    assert (after.mark, after.email, after.cpr, after.card) == (before.mark, before.email, before.cpr, before.card)


@pytest.mark.parametrize("trouble", AT_ONCE)
def test_a_failed_change_of_the_cpr_number_can_be_repeated(stage: Stage, trouble: Trouble) -> None:
    """At each point of failure the borrower is unchanged, or is found by its new CPR number."""
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
def test_a_failed_pin_change_can_be_repeated(stage: Stage, trouble: Trouble) -> None:
    """Only a refusal, or a request that never arrived, is reported as a final failure."""
    number = make_borrower(stage).number
    outcomes = struck(stage, trouble, lambda: stage.library.set_pin(number, PIN, soon()))
    assert outcomes
    if trouble in {Trouble.LOST, Trouble.DOWN}:
        assert set(outcomes) == {LibraryUnavailable}
    stage.library.set_pin(number, PIN, soon())
    assert stage.desk.proves(CPR, PIN)


@pytest.mark.long("lets each request of every call fail")
@pytest.mark.library(over_http=True)
@pytest.mark.parametrize("trouble", NO_VERDICT)
def test_an_answer_of_a_proxy_is_temporary(stage: Stage, trouble: Trouble) -> None:
    """A 404 of a proxy does not mean "no such borrower", and a 5xx is not a refusal: both are retried."""
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
def test_an_answer_about_another_borrower_is_rejected(stage: Stage) -> None:
    """An answer that a cache or a proxy mixed up would give a person another person's account."""
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
def test_every_request_is_reported_to_the_observer(stage: Stage, observed: Observations, name: str) -> None:
    """Metrics count and time the requests. They have no personal values and show a system that is down."""
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
def test_a_slow_answer_ends_at_the_deadline(stage: Stage) -> None:
    """An answer that arrives byte by byte does not extend the call."""
    borrower = make_borrower(stage)
    with ThreadPoolExecutor(len(SEARCHES)) as threads:
        with stage.desk.cause_trouble(Trouble.TRICKLE):
            by = soon(0.5)
            begun = [threads.submit(outcome, partial(CALLS[name], stage.library, borrower, by)) for name in SEARCHES]
            wait(begun, timeout=LONG_AFTER)
        outcomes = [each.result() for each in begun]
    assert outcomes == [LibraryUnavailable] * len(SEARCHES)


def test_a_silent_system_times_out_at_the_deadline(stage: Stage) -> None:
    """Every call waits until its deadline. A later call receives its answer."""
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
