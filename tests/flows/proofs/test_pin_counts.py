"""What a try of a PIN leaves counted: of one that failed, whose answer was lost, that was never made, or was right."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Semaphore
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryUnavailable, TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.flows.proofs import pin_check
from broker.flows.proofs.pin_check import FAILURE_LASTS, PER_BORROWER, PER_BROWSER, PER_IDENTIFIER, Device, PinCheck
from broker.flows.proofs.rate_limits import Limit

CPR, NUMBER, PIN = "0101990000", "1", "5837"
NOBODY: Final = "0303820000"
HERE: Final = "192.0.2.0/24"
KNOWN: Final = Device(("mark",), {NUMBER: "browser"}.get)


@pytest.fixture
def check(world: Any) -> PinCheck:
    """Give the check of one worker, with a borrower whose PIN is known."""
    world.library.add(CPR, Borrower(NUMBER, "STUD", born=date(1999, 1, 1)))
    world.library.pins[NUMBER] = PIN
    return PinCheck(world.store, LookupHmacs("k1", b"k" * 32), world.library, lambda: world.now)


def verdict(check: PinCheck, identifier: str, pin: str, device: Device | None = None) -> str:
    """Give what came of a try, in a word."""
    try:
        return "in" if check.verify(identifier, pin, HERE, device) else "wrong"
    except TooMany:
        return "throttled"
    except LibraryUnavailable:
        return "lost"


def lose() -> None:
    """Lose the answer."""
    raise LibraryUnavailable("the answer was lost")


def checks(world: Any) -> int:
    """Count the PINs that the library system was asked about."""
    return int(world.hooks.calls.count("check_pin"))


@pytest.mark.parametrize(
    ("identifier", "pin"),
    [("", PIN), ("karla", PIN), ("0", PIN), ("01018000001", PIN), (CPR, ""), (CPR, "58\x0037"), (CPR, "5" * 65)],
)
def test_what_is_no_number_or_no_pin_asks_nobody(world: Any, check: PinCheck, identifier: str, pin: str) -> None:
    """Nor is it counted: it could never be right."""
    assert [verdict(check, identifier, pin) for _ in range(12)] == ["wrong"] * 12
    assert world.hooks.calls == []
    assert verdict(check, CPR, PIN) == "in"


QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
LIMITS: Final = [
    (pin_check.PER_IDENTIFIER, 5, QUARTER),
    (pin_check.PER_BORROWER, 10, DAY),
    (pin_check.PER_NETWORK, 30, HOUR),
    (pin_check.BRAKE, 300, timedelta(minutes=10)),
    (pin_check.DAILY_BRAKE, 2000, DAY),
    (pin_check.PER_BROWSER, 5, QUARTER),
    (pin_check.PER_KNOWN, 10, DAY),
    (pin_check.PER_MARK, 10, QUARTER),
]


@pytest.mark.parametrize(("limit", "most", "within"), LIMITS, ids=[limit.name for limit, _, _ in LIMITS])
def test_no_limit_lets_through_more(limit: Limit, most: int, within: timedelta) -> None:
    """What a day of guessing can find was reckoned by these numbers; each limit is counted by itself."""
    assert (limit.most, limit.within) == (most, within)
    assert [other.name for other, _, _ in LIMITS].count(limit.name) == 1


def test_a_network_may_fail_thirty_times_an_hour(world: Any, check: PinCheck) -> None:
    """One guess at each of many numbers ends too."""
    verdicts = [verdict(check, str(number), "0000") for number in range(100, 132)]
    assert verdicts == ["wrong"] * 30 + ["throttled"] * 2
    assert verdict(check, CPR, PIN) == "throttled"
    assert verdict(check, CPR, PIN, KNOWN) == "in"
    world.now += HOUR
    assert verdict(check, CPR, PIN) == "in"


@pytest.mark.parametrize("device", [None, KNOWN], ids=["stranger", "known browser"])
@pytest.mark.parametrize("identifier", [CPR, NUMBER])
def test_a_try_whose_answer_was_lost_stays_counted(
    world: Any, check: PinCheck, identifier: str, device: Device | None
) -> None:
    """The library system may have counted it, and whoever can lose answers must not guess for ever."""
    for _ in range(PER_IDENTIFIER.most):
        world.hooks.after["check_pin"] = lose
        assert verdict(check, identifier, "0000", device) == "lost"
    assert checks(world) == PER_IDENTIFIER.most
    assert verdict(check, identifier, PIN, device) == "throttled"
    assert checks(world) == PER_IDENTIFIER.most
    limit = PER_BROWSER if device else PER_IDENTIFIER
    world.now += limit.within
    assert verdict(check, identifier, PIN, device) == "in"


def test_a_lost_answer_counts_in_the_borrower_s_day_too(world: Any, check: PinCheck) -> None:
    """Five in a quarter of an hour, ten a day, whichever of the two numbers was typed."""
    for identifier in (CPR, NUMBER):
        for _ in range(5):
            world.hooks.after["check_pin"] = lose
            assert verdict(check, identifier, "0000") == "lost"
    world.now += PER_IDENTIFIER.within
    assert verdict(check, CPR, PIN) == "throttled"
    assert checks(world) == PER_BORROWER.most
    world.now += PER_BORROWER.within
    assert verdict(check, CPR, PIN) == "in"


@pytest.mark.parametrize("device", [None, KNOWN], ids=["stranger", "known browser"])
def test_a_try_that_was_never_made_is_given_back(world: Any, check: PinCheck, device: Device | None) -> None:
    """Where the borrower could not be looked up no PIN was tried, and nobody is shut out for that."""
    for _ in range(12):
        world.hooks.before["find"] = lose
        assert verdict(check, CPR, "0000", device) == "lost"
    assert checks(world) == 0
    assert [verdict(check, CPR, "0000", device) for _ in range(6)] == ["wrong"] * 5 + ["throttled"]


def test_a_try_without_a_slot_is_given_back(check: PinCheck) -> None:
    """It waited for nothing and asked nothing."""
    full = replace(check, waiting_slots=Semaphore(0))
    assert [verdict(full, CPR, PIN) for _ in range(12)] == ["lost"] * 12
    assert [verdict(check, CPR, "0000") for _ in range(6)] == ["wrong"] * 5 + ["throttled"]


def test_a_slot_is_free_again_whatever_came_of_it(world: Any, check: PinCheck) -> None:
    """Right, wrong, throttled and lost."""
    one = replace(check, waiting_slots=Semaphore(1))
    world.hooks.after["check_pin"] = lose
    verdicts = [verdict(one, CPR, "0000"), verdict(one, CPR, PIN), *(verdict(one, CPR, "0000") for _ in range(5))]
    assert verdicts == ["lost", "in", "wrong", "wrong", "wrong", "wrong", "throttled"]


@pytest.mark.parametrize("device", [None, KNOWN], ids=["stranger", "known browser"])
@pytest.mark.parametrize("identifier", [CPR, NUMBER])
def test_the_right_pin_leaves_nothing_counted(check: PinCheck, identifier: str, device: Device | None) -> None:
    """Whoever knows it may log in all day, and four failures of theirs are still four."""
    assert [verdict(check, identifier, "0000", device) for _ in range(4)] == ["wrong"] * 4
    assert [verdict(check, identifier, PIN, device) for _ in range(12)] == ["in"] * 12
    assert [verdict(check, identifier, "0000", device) for _ in range(2)] == ["wrong", "throttled"]


def test_a_known_browser_goes_on_where_strangers_are_stopped(world: Any, check: PinCheck) -> None:
    """The right PIN leaves nothing counted there either, and five failures are the most."""
    assert [verdict(check, CPR, "0000") for _ in range(6)] == ["wrong"] * 5 + ["throttled"]
    assert [verdict(check, CPR, PIN, KNOWN) for _ in range(12)] == ["in"] * 12
    assert [verdict(check, CPR, "0000", KNOWN) for _ in range(6)] == ["wrong"] * 5 + ["throttled"]
    assert checks(world) == 22


def test_a_known_browser_s_failure_is_no_stranger_s(check: PinCheck) -> None:
    """It is counted in place of a stranger's try, not beside it."""
    assert [verdict(check, CPR, "0000", KNOWN) for _ in range(5)] == ["wrong"] * 5
    assert [verdict(check, CPR, "0000") for _ in range(6)] == ["wrong"] * 5 + ["throttled"]


def test_a_browser_that_this_borrower_does_not_know_is_a_stranger(world: Any, check: PinCheck) -> None:
    """Past a stranger's limit it is looked up for its own borrower's sake and never tried."""
    others = Device(("mark",), lambda _number: None)
    assert [verdict(check, CPR, "0000", others) for _ in range(6)] == ["wrong"] * 5 + ["throttled"]
    assert checks(world) == 5


def test_nobody_s_number_is_tried_and_counted_like_another(world: Any, check: PinCheck) -> None:
    """The library system is asked of a number that nobody has, which no PIN fits."""
    world.library.pins["0"] = PIN
    assert [verdict(check, NOBODY, PIN) for _ in range(6)] == ["wrong"] * 5 + ["throttled"]
    assert checks(world) == 5


@pytest.mark.parametrize("found", ["two", "another's birthday"])
def test_a_number_of_two_or_of_another_lets_nobody_in(world: Any, check: PinCheck, found: str) -> None:
    """Whose PIN it would be is not known."""
    if found == "two":
        world.library.add(CPR, Borrower("2", "STUD"))
    else:
        world.library.borrowers[NUMBER] = Borrower(NUMBER, "STUD", born=date(1980, 2, 2))
    assert verdict(check, CPR, PIN) == "wrong"
    assert verdict(check, NUMBER, PIN) == "in"


@pytest.mark.parametrize(
    ("takes", "pause"), [(0.0, 0.4), (0.1, 0.3), (0.4, 0.0), (3.0, 0.0)], ids=["at once", "soon", "just", "late"]
)
def test_a_failure_lasts_as_long_whoever_it_is_about(world: Any, check: PinCheck, takes: float, pause: float) -> None:
    """A library system in haste is waited for, a slow one no longer than it takes, and success never."""
    paused: list[float] = []
    slow = replace(check, pause=paused.append)
    world.hooks.before["check_pin"] = lambda: world.slept(takes)
    assert verdict(slow, CPR, "0000") == "wrong"
    assert paused == [pytest.approx(pause)]
    assert verdict(slow, CPR, PIN) == "in"
    assert len(paused) == 1
    assert timedelta(seconds=0.4) == FAILURE_LASTS


class Deadlines:
    """A library system that notes by when each call is to be answered, counted from the call."""

    def __init__(self, library: Any, now: Callable[[], datetime]) -> None:
        """Note nothing yet."""
        self._library, self._now = library, now
        self.noted: list[float] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Call through."""
        call: Callable[..., Any] = getattr(self._library, name)

        def noted(*given: Any) -> Any:
            self.noted.append((given[-1] - self._now()).total_seconds())
            return call(*given)

        return noted


def test_each_call_has_eight_seconds(world: Any, check: PinCheck) -> None:
    """A person waits for two calls at most, each of which ends."""
    library = Deadlines(world.library, lambda: world.now)
    world.now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert verdict(replace(check, library=library), CPR, PIN) == "in"
    assert library.noted == [8.0, 8.0]
