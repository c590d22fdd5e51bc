"""PINs tried: for whom one is checked at all, what a try leaves counted, and what nobody learns."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from threading import Semaphore
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.library_capabilities import ALL_CAPABILITIES
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import LibraryUnavailable, LinkGone
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.proofs import pin_check
from broker.use_cases.proofs.known_browsers import WRONG_PINS, KnownBrowsers
from broker.use_cases.proofs.pin_check import FAILURE_LASTS, PinCheck, PinProblem
from broker.use_cases.proofs.pin_letters import PinLetter
from broker.use_cases.proofs.rate_limits import Limit

CPR, CARD, NUMBER, PIN = "0101990000", "T-2001", "1", "5837"
NOBODY: Final = "0303820000"
HMACS: Final = LookupHmacs("k1", b"k" * 32)
LETTER: Final = PinLetter(NUMBER, "bcdfghjkmn")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Check = Callable[[PinCheck, str], Borrower | PinProblem]


@pytest.fixture
def check(world: Any) -> PinCheck:
    """Give the check of one worker, with a borrower whose PIN is known."""
    world.library.add(CPR, Borrower(NUMBER, "STUD", born=date(1999, 1, 1), card=CARD))
    world.library.pins[NUMBER] = PIN
    return PinCheck(world.store, HMACS, world.library, lambda: world.now)


def behind_letter(check: PinCheck, pin: str) -> Borrower | PinProblem:
    """Try behind the borrower's letter."""
    return check.behind_letter(LETTER, pin)


def at_terminal(check: PinCheck, pin: str) -> Borrower | PinProblem:
    """Try at a terminal."""
    return check.at_terminal(CPR, pin, "192.0.2.1")


def of_person(check: PinCheck, pin: str) -> Borrower | PinProblem:
    """Try as a person who is logged in."""
    return check.of_person(CPR, pin, "person")


@dataclass(frozen=True)
class Way:
    """A way to try a PIN: the answer to a wrong one, how many there are in what time, and the answer to more."""

    tried: Check
    wrong: PinProblem
    most: int
    within: timedelta
    refused: PinProblem


WAYS: Final = {
    "letter": Way(behind_letter, PinProblem.NOT_RIGHT, 10, DAY, PinProblem.LETTER_USED_UP),
    "terminal": Way(at_terminal, PinProblem.WRONG, 5, HOUR, PinProblem.TOO_MANY),
    "person": Way(of_person, PinProblem.WRONG, 5, DAY, PinProblem.TOO_MANY),
}
EACH: Final = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def verdict(check: PinCheck, way: Way, pin: str) -> str:
    """Give what came of a try, in a word."""
    try:
        outcome = way.tried(check, pin)
    except LibraryUnavailable:
        return "lost"
    return "in" if isinstance(outcome, Borrower) else outcome


def lose() -> None:
    """Lose the answer."""
    raise LibraryUnavailable("the answer was lost")


def checks(world: Any) -> int:
    """Count the PINs that the library system was asked about."""
    return int(world.hooks.calls.count("check_pin"))


LIMITS: Final = [
    (pin_check.BEHIND_LETTER, 10, DAY),
    (pin_check.AT_TERMINALS, 5, HOUR),
    (pin_check.AT_ONE_TERMINAL, 20, timedelta(minutes=10)),
    (pin_check.OF_PERSON, 5, DAY),
    (WRONG_PINS, 10, timedelta(days=365)),
]


@pytest.mark.parametrize(("limit", "most", "within"), LIMITS, ids=[limit.name for limit, _, _ in LIMITS])
def test_no_limit_lets_through_more(limit: Limit, most: int, within: timedelta) -> None:
    """What guessing can find was reckoned by these numbers; each limit is counted by itself."""
    assert (limit.most, limit.within) == (most, within)
    assert [other.name for other, _, _ in LIMITS].count(limit.name) == 1


@EACH
def test_tries_end(world: Any, check: PinCheck, way: Way) -> None:
    """After so many wrong ones not even the right PIN is looked at, until the time is over."""
    verdicts = [verdict(check, way, "0000") for _ in range(way.most + 2)]
    assert verdicts == [way.wrong] * way.most + [way.refused] * 2
    assert (verdict(check, way, PIN), checks(world)) == (way.refused, way.most)
    world.now += way.within
    assert verdict(check, way, PIN) == "in"


@EACH
def test_the_right_pin_leaves_nothing_counted(check: PinCheck, way: Way) -> None:
    """Whoever knows it may log in all day, and the wrong ones before are still so many."""
    assert [verdict(check, way, "0000") for _ in range(way.most - 1)] == [way.wrong] * (way.most - 1)
    assert [verdict(check, way, PIN) for _ in range(12)] == ["in"] * 12
    assert [verdict(check, way, "0000") for _ in range(2)] == [way.wrong, way.refused]


@EACH
def test_a_lost_answer_stays_counted(world: Any, check: PinCheck, way: Way) -> None:
    """The library system may have counted it, and whoever can lose answers must not guess for ever."""
    for _ in range(way.most):
        world.hooks.after["check_pin"] = lose
        assert verdict(check, way, "0000") == "lost"
    assert (verdict(check, way, PIN), checks(world)) == (way.refused, way.most)


@EACH
def test_a_try_that_was_never_made_is_given_back(world: Any, check: PinCheck, way: Way) -> None:
    """Where the borrower could not be looked up, or nothing may wait for the library, no PIN was tried."""
    full = replace(check, waiting_slots=Semaphore(0))
    for _ in range(way.most + 2):
        assert verdict(full, way, PIN) == "lost"
        world.hooks.before["read" if way.tried is behind_letter else "typed"] = lose
        assert verdict(check, way, "0000") == "lost"
    assert checks(world) == 0
    assert [verdict(check, way, "0000") for _ in range(way.most + 1)] == [way.wrong] * way.most + [way.refused]


@EACH
@pytest.mark.parametrize("pin", ["", "58\x0037", "5837\n", "٥٨٣٧", "5" * 65])
def test_what_is_no_pin_asks_nobody(world: Any, check: PinCheck, way: Way, pin: str) -> None:
    """Nor is it counted: it could never be right."""
    assert [verdict(check, way, pin) for _ in range(way.most + 2)] == [way.wrong] * (way.most + 2)
    assert world.hooks.calls == []


@EACH
def test_a_slot_is_free_again_whatever_came_of_it(world: Any, check: PinCheck, way: Way) -> None:
    """Right, wrong, lost and refused."""
    one = replace(check, waiting_slots=Semaphore(1))
    world.hooks.after["check_pin"] = lose
    assert [verdict(one, way, pin) for pin in ("0000", PIN)] == ["lost", "in"]
    assert [verdict(one, way, "0000") for _ in range(way.most)] == [way.wrong] * (way.most - 1) + [way.refused]


@EACH
def test_guesses_at_once_are_no_more(world: Any, check: PinCheck, way: Way) -> None:
    """A hundred parallel guesses: as many as one after another."""
    with ThreadPoolExecutor(12) as threads:
        verdicts = sorted(threads.map(lambda number: verdict(check, way, f"{number:04}"), range(100)))
    assert verdicts == sorted([way.wrong] * way.most + [way.refused] * (100 - way.most))
    assert checks(world) == way.most


def test_a_letter_of_a_borrower_that_is_gone_opens_nothing(world: Any, check: PinCheck) -> None:
    """The desk may have deleted or merged it since the mail."""
    world.library.borrowers.clear()
    with pytest.raises(LinkGone):
        behind_letter(check, PIN)


ANSWERS: Final = [
    (PinAnswer.EXPIRED, PinProblem.EXPIRED, PinProblem.EXPIRED),
    (PinAnswer.LOCKED, PinProblem.LOCKED, PinProblem.WRONG),
    (PinAnswer.NO_CARD_NUMBER, PinProblem.NO_CARD_NUMBER, PinProblem.WRONG),
]


@pytest.mark.parametrize(("answer", "owner", "stranger"), ANSWERS)
def test_only_who_has_shown_something_is_told_of_the_account(
    check: PinCheck, monkeypatch: pytest.MonkeyPatch, answer: PinAnswer, owner: str, stranger: str
) -> None:
    """Behind the letter and in a known browser the truth is told; elsewhere only to who knows the PIN."""
    monkeypatch.setattr(check.library, "check_pin", lambda *_: answer)
    assert behind_letter(check, PIN) == owner
    assert in_browser(check, PIN, PIN) == owner
    assert (at_terminal(check, PIN), of_person(check, PIN)) == (stranger, stranger)


def test_an_account_that_is_not_temporary_is_out_of_reach_of_other_people_s_logins(
    world: Any, check: PinCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right PIN reads as a wrong one, costs a try like one, and the library system is asked of nobody's."""
    world.library.borrowers[NUMBER] = replace(world.library.borrowers[NUMBER], cpr=CPR)
    tried: list[str] = []

    def wrong(number: str, *_: object) -> PinAnswer:
        tried.append(number)
        return PinAnswer.WRONG

    monkeypatch.setattr(check.library, "check_pin", wrong)
    answers = [check.of_person(CARD, PIN, "person") for _ in range(6)]
    assert answers == [PinProblem.WRONG] * 5 + [PinProblem.TOO_MANY]
    assert set(tried) == {"0"}


def in_browser(check: PinCheck, pin: str, remembered: str) -> Borrower | PinProblem:
    """Try in a browser that became known by the PIN ``remembered``."""
    browsers = KnownBrowsers(check.store, HMACS, check.now)
    token = browsers.remember(Borrower(NUMBER, "STUD", cpr=CPR), (), remembered)
    known = browsers.of((token,), CPR)
    assert known
    return check.in_known_browser(known, pin)


def test_a_known_browser_lets_in_the_pin_it_knows(world: Any, check: PinCheck) -> None:
    """What does not fit it never reaches the library system."""
    assert isinstance(in_browser(check, PIN, PIN), Borrower)
    asked = checks(world)
    assert in_browser(check, "0000", PIN) == PinProblem.BROWSER_UNFIT
    assert in_browser(check, "5\x00", PIN) == PinProblem.BROWSER_UNFIT
    assert checks(world) == asked


def test_a_known_browser_ends_with_its_pin(world: Any, check: PinCheck) -> None:
    """The PIN was changed elsewhere: the old one makes the browser unknown, and the new one never fits it."""
    browsers = KnownBrowsers(check.store, HMACS, check.now)
    token = browsers.remember(Borrower(NUMBER, "STUD", cpr=CPR), (), PIN)
    world.library.pins[NUMBER] = "7294"
    known = browsers.of((token,), CPR)
    assert known
    assert check.in_known_browser(known, "7294") == PinProblem.BROWSER_UNFIT
    assert check.in_known_browser(known, PIN) == PinProblem.CHANGED_SINCE
    assert browsers.of((token,), CPR) is None


def test_a_known_browser_stays_known_while_the_library_is_silent(world: Any, check: PinCheck) -> None:
    """Nobody has said that its PIN is wrong."""
    browsers = KnownBrowsers(check.store, HMACS, check.now)
    token = browsers.remember(Borrower(NUMBER, "STUD", cpr=CPR), (), PIN)
    known = browsers.of((token,), CPR)
    assert known
    for _ in range(12):
        world.hooks.before["check_pin"] = lose
        with pytest.raises(LibraryUnavailable):
            check.in_known_browser(known, PIN)
    assert isinstance(check.in_known_browser(known, PIN), Borrower)


def test_a_terminal_takes_any_number_a_person_knows(world: Any, check: PinCheck) -> None:
    """CPR number and card number open it; the internal number is no number that is typed."""
    for typed in (CPR, CARD):
        assert isinstance(check.at_terminal(typed, PIN, "192.0.2.1"), Borrower)
    assert check.at_terminal(NUMBER, PIN, "192.0.2.1") == PinProblem.WRONG
    assert world.library.pins == {NUMBER: PIN}


def test_the_wrong_tries_of_a_number_are_those_of_all_terminals(check: PinCheck) -> None:
    """Whoever walks from one to the next tries no more, whatever the case of the letters."""
    outcomes = [check.at_terminal(CARD.lower() if each % 2 else CARD, "0000", str(each)) for each in range(6)]
    assert outcomes == [PinProblem.WRONG] * 5 + [PinProblem.TOO_MANY]
    assert isinstance(check.at_terminal(CPR, PIN, "0"), Borrower)


def test_a_terminal_tries_twenty_numbers_in_ten_minutes(check: PinCheck) -> None:
    """One guess at each of many numbers ends too, at that terminal."""
    outcomes = [check.at_terminal(str(number), "0000", "192.0.2.1") for number in range(100, 122)]
    assert outcomes == [PinProblem.WRONG] * 20 + [PinProblem.TOO_MANY] * 2
    assert isinstance(check.at_terminal(CPR, PIN, "192.0.2.2"), Borrower)


def test_nobody_s_number_is_tried_and_counted_like_another(world: Any, check: PinCheck) -> None:
    """The library system is asked of a number that nobody has, which no PIN fits."""
    world.library.pins["0"] = PIN
    outcomes = [check.at_terminal(NOBODY, PIN, "192.0.2.1") for _ in range(6)]
    assert outcomes == [PinProblem.WRONG] * 5 + [PinProblem.TOO_MANY]
    assert checks(world) == 5


@pytest.mark.parametrize("pin", [PIN, "0000"])
def test_a_number_of_two_lets_nobody_in(world: Any, check: PinCheck, pin: str) -> None:
    """Whose PIN it would be is not known; the answer is the same for any PIN."""
    world.library.add(CPR, Borrower("2", "STUD"))
    world.library.pins["2"] = PIN
    outcomes = [at_terminal(check, pin) for _ in range(6)]
    assert outcomes == [PinProblem.SEVERAL_ACCOUNTS] * 5 + [PinProblem.TOO_MANY]
    assert check.at_terminal(CARD, PIN, "192.0.2.1") == world.library.borrowers[NUMBER]


@pytest.mark.parametrize(
    ("takes", "pause"), [(0.0, 0.4), (0.1, 0.3), (0.4, 0.0), (3.0, 0.0)], ids=["at once", "soon", "just", "late"]
)
@pytest.mark.parametrize("typed", [CPR, NOBODY])
def test_a_failure_lasts_as_long_whoever_it_is_about(
    world: Any, check: PinCheck, typed: str, takes: float, pause: float
) -> None:
    """A library system in haste is waited for, a slow one no longer than it takes, and success never."""
    paused: list[float] = []
    slow = replace(check, pause=paused.append)
    world.hooks.before["check_pin"] = lambda: world.slept(takes)
    assert slow.at_terminal(typed, "0000", "192.0.2.1") == PinProblem.WRONG
    assert paused == [pytest.approx(pause)]
    assert isinstance(slow.at_terminal(CPR, PIN, "192.0.2.1"), Borrower)
    assert len(paused) == 1
    assert timedelta(seconds=0.4) == FAILURE_LASTS


class Deadlines:
    """A library system that notes by when each call is to be answered, counted from the call."""

    def __init__(self, library: Any, now: Callable[[], datetime]) -> None:
        """Note nothing yet."""
        self._library, self._now = library, now
        self.noted: list[float] = []
        self.capabilities = ALL_CAPABILITIES

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Call through."""
        call: Callable[..., Any] = getattr(self._library, name)

        def noted(*given: Any) -> Any:
            self.noted.append((given[-1] - self._now()).total_seconds())
            return call(*given)

        return noted


@EACH
def test_each_call_has_eight_seconds(world: Any, check: PinCheck, way: Way) -> None:
    """A person waits for two calls at most, each of which ends."""
    library = Deadlines(world.library, lambda: world.now)
    assert verdict(replace(check, library=library), way, PIN) == "in"
    assert library.noted == [8.0, 8.0]
