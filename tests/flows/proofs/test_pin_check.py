"""PINs tried: what is verified, what is counted, and when it ends."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Semaphore

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.errors import LibraryUnavailable, TooMany
from broker.flows.proofs.pin_check import (
    BRAKE,
    DAILY_BRAKE,
    FAILURE_LASTS,
    PER_IDENTIFIER,
    PER_MARK,
    PER_NETWORK,
    Device,
    PinCheck,
)
from broker.flows.proofs.rate_limits import Limits
from tests.plugins.pin_bench import CARD_OF_ANOTHER, CPR, NUMBER, PIN, PSEUDONYMS, Bench

HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"
NOBODY = "0303820000"


def browser(name: str) -> Device:
    """Give a browser that Åse's borrower knows."""
    return Device(("k-aase",), {NUMBER: name}.get)


KNOWN, ANOTHERS = browser("browser"), Device(("k-bo",), lambda _number: None)


def verdict(guesses: PinCheck, identifier: str, pin: str, network: str = HERE, device: Device | None = None) -> str:
    """Give what came of a try, in a word."""
    try:
        return "in" if guesses.verify(identifier, pin, network, device) else "wrong"
    except TooMany:
        return "throttled"


@pytest.mark.parametrize("identifier", [CPR, "010180-0000", " 010180 0000 ", NUMBER])
def test_the_right_pin_lets_in(pin_bench: Bench, identifier: str) -> None:
    """A CPR number in any spelling and the borrower number lead to the same account."""
    found = pin_bench.guesses().verify(identifier, PIN, HERE)
    assert found is not None
    assert found.number == NUMBER


@pytest.mark.parametrize("identifier", ["", "aase", "01018000001", "٠١٠١٨٠٠٠٠٠", "0", "010180--0000", "1 or 1=1", "-1"])
def test_what_is_no_number_asks_nobody(pin_bench: Bench, identifier: str) -> None:
    """Whatever cannot be a number is a wrong one, and the library system never hears of it."""
    assert verdict(pin_bench.guesses(), identifier, PIN) == "wrong"
    assert pin_bench.shape() == []


@pytest.mark.parametrize("pin", ["", "4\x0071", "4071\n", "٤٠٧١", "4" * 65])
def test_what_is_no_pin_asks_nobody(pin_bench: Bench, pin: str) -> None:
    """Control characters, other scripts and pages of digits never reach the library system."""
    assert verdict(pin_bench.guesses(), CPR, pin) == "wrong"
    assert pin_bench.shape() == []


def test_a_card_with_a_strangers_number_lets_nobody_in(pin_bench: Bench) -> None:
    """Ten digits on a card that disagree with the date of birth are not its holder's CPR number."""
    pin_bench.koha.patrons.set_password(2, PIN, PIN)
    assert verdict(pin_bench.guesses(), CARD_OF_ANOTHER, PIN) == "wrong"
    assert verdict(pin_bench.guesses(), "2", PIN) == "in"


def test_the_sixth_try_is_not_made(pin_bench: Bench) -> None:
    """After five failures not even the right PIN is looked at, until a quarter of an hour has passed."""
    guesses = pin_bench.guesses()
    assert [verdict(guesses, CPR, "0000") for _ in range(6)] == ["wrong"] * 5 + ["throttled"]
    assert verdict(guesses, CPR, PIN) == "throttled"
    assert pin_bench.checks() == 5
    pin_bench.ahead += PER_IDENTIFIER.within
    assert verdict(guesses, CPR, PIN) == "in"


def test_no_quarter_of_an_hour_holds_more_than_five(pin_bench: Bench) -> None:
    """The span slides: five at the end of one and five at the start of the next are not let through."""
    guesses = pin_bench.guesses()
    assert verdict(guesses, CPR, "0000") == "wrong"
    pin_bench.ahead += timedelta(minutes=14)
    assert [verdict(guesses, CPR, "0000") for _ in range(5)] == ["wrong"] * 4 + ["throttled"]
    pin_bench.ahead += timedelta(minutes=2)
    assert [verdict(guesses, CPR, "0000") for _ in range(2)] == ["wrong", "throttled"]


def test_ten_a_day_however_the_borrower_is_named(pin_bench: Bench) -> None:
    """CPR number and borrower number are two names of one account, with one day's tries; nobody's have as many."""
    guesses = pin_bench.guesses()
    for identifier in (CPR, NUMBER):
        assert [verdict(guesses, identifier, "0000") for _ in range(5)] == ["wrong"] * 5
    pin_bench.ahead += timedelta(minutes=16)
    assert verdict(guesses, NUMBER, PIN) == "throttled"
    assert pin_bench.checks() == 10
    pin_bench.ahead += timedelta(days=1)
    assert verdict(guesses, NUMBER, PIN) == "in"


def test_nobodys_number_has_a_day_too(pin_bench: Bench) -> None:
    """Who is told to wait tomorrow is no sign of a registered number."""
    guesses = pin_bench.guesses()
    for _ in range(2):
        assert [verdict(guesses, NOBODY, "0000") for _ in range(5)] == ["wrong"] * 5
        pin_bench.ahead += timedelta(minutes=16)
    assert verdict(guesses, NOBODY, "0000") == "throttled"


def test_a_success_costs_nothing(pin_bench: Bench) -> None:
    """Whoever knows the PIN may log in all day."""
    guesses = pin_bench.guesses()
    assert {verdict(guesses, CPR, PIN) for _ in range(12)} == {"in"}


def test_a_network_may_fail_thirty_times_an_hour(pin_bench: Bench) -> None:
    """One guess at each of many numbers ends too, but only where it comes from."""
    guesses = pin_bench.guesses()
    numbers = [str(number) for number in range(100, 100 + PER_NETWORK.most)]
    assert {verdict(guesses, number, "0000") for number in numbers} == {"wrong"}
    assert verdict(guesses, NUMBER, PIN) == "throttled"
    assert verdict(guesses, NUMBER, PIN, THERE) == "in"


def test_the_brake_stops_strangers_only(pin_bench: Bench) -> None:
    """When guesses come from everywhere at once, browsers that have logged in before still do."""
    limits = Limits(pin_bench.store, PSEUDONYMS, pin_bench.now)
    for _ in range(BRAKE.most):
        limits.take((BRAKE, "all"))
    guesses = pin_bench.guesses()
    assert verdict(guesses, CPR, PIN) == "throttled"
    assert verdict(guesses, CPR, PIN, device=KNOWN) == "in"


def test_a_known_browser_takes_no_strangers_tries(pin_bench: Bench) -> None:
    """What fails there is counted there: whoever mistypes at home can still log in at the library."""
    guesses = pin_bench.guesses()
    assert [verdict(guesses, CPR, "0000", device=KNOWN) for _ in range(5)] == ["wrong"] * 5
    assert [verdict(guesses, CPR, "0000", THERE) for _ in range(6)] == ["wrong"] * 5 + ["throttled"]


def test_a_day_of_tries_at_many_accounts_ends(pin_bench: Bench) -> None:
    """One guess at each of thousands, ever so slowly: the day's tries of all strangers are counted too."""
    limits = Limits(pin_bench.store, PSEUDONYMS, pin_bench.now)
    for _ in range(DAILY_BRAKE.most):
        limits.take((DAILY_BRAKE, "all"))
    assert verdict(pin_bench.guesses(), CPR, PIN) == "throttled"
    assert verdict(pin_bench.guesses(), CPR, PIN, device=KNOWN) == "in"


def test_many_known_browsers_have_one_day(pin_bench: Bench) -> None:
    """Who knew the PIN once and let a hundred browsers be known does not try a hundred times at the next PIN."""
    guesses = pin_bench.guesses()
    verdicts = [verdict(guesses, CPR, "0000", device=browser(str(number))) for number in range(100)]
    assert verdicts.count("wrong") == 10
    assert pin_bench.checks() == 10
    pin_bench.ahead += PER_IDENTIFIER.within
    assert verdict(guesses, CPR, PIN, THERE) == "in"


def test_a_browser_known_to_one_asks_little_about_others(pin_bench: Bench) -> None:
    """It passes the limits for its own borrower's sake: others are looked up ten times, and never tried."""
    limits = Limits(pin_bench.store, PSEUDONYMS, pin_bench.now)
    for _ in range(BRAKE.most):
        limits.take((BRAKE, "all"))
    guesses = pin_bench.guesses()
    pin_bench.shape()
    assert {verdict(guesses, CPR, PIN, device=ANOTHERS) for _ in range(30)} == {"throttled"}
    assert pin_bench.checks() == 0
    assert 0 < len(pin_bench.shape()) <= 2 * PER_MARK.most


def test_a_failure_lasts_as_long_whoever_it_is_about(pin_bench: Bench) -> None:
    """A library system that takes its time only with PINs of people it has does not tell who they are by it."""
    paused: list[float] = []
    guesses = replace(pin_bench.guesses(), pause=paused.append)
    assert [verdict(guesses, each, "0000") for each in (CPR, NOBODY)] == ["wrong", "wrong"]
    assert all(0 < each <= FAILURE_LASTS.total_seconds() for each in paused)
    assert (len(paused), verdict(guesses, CPR, PIN), len(paused)) == (2, "in", 2)


def test_nobody_shuts_a_known_browser_out(pin_bench: Bench) -> None:
    """Strangers' failures do not count against the browser its borrower uses, nor does knowing another help."""
    guesses = pin_bench.guesses()
    assert [verdict(guesses, CPR, "0000", THERE) for _ in range(6)][-1] == "throttled"
    assert verdict(guesses, CPR, PIN, THERE, device=ANOTHERS) == "throttled"
    assert verdict(guesses, CPR, PIN, device=KNOWN) == "in"


def test_a_known_browser_has_five_tries_of_its_own(pin_bench: Bench) -> None:
    """A stolen browser is no way around: five in a quarter of an hour, ten a day."""
    guesses = pin_bench.guesses()
    assert [verdict(guesses, CPR, "0000", device=KNOWN) for _ in range(6)] == ["wrong"] * 5 + ["throttled"]
    pin_bench.ahead += timedelta(minutes=16)
    assert [verdict(guesses, CPR, "0000", device=KNOWN) for _ in range(5)] == ["wrong"] * 5
    pin_bench.ahead += timedelta(minutes=16)
    assert verdict(guesses, CPR, PIN, device=KNOWN) == "throttled"
    assert verdict(guesses, CPR, PIN) == "in"


@pytest.mark.parametrize(("theirs", "nobodys"), [(CPR, NOBODY), (NUMBER, "77")])
def test_known_and_unknown_cost_the_same_calls(pin_bench: Bench, theirs: str, nobodys: str) -> None:
    """Neither a watch on the library system nor a clock tells whether a number is registered."""
    guesses = pin_bench.guesses()
    assert verdict(guesses, theirs, "0000") == "wrong"
    asked = pin_bench.shape()
    assert verdict(guesses, nobodys, "0000") == "wrong"
    assert pin_bench.shape() == asked != []


def test_a_library_that_is_down_shuts_nobody_out(pin_bench: Bench) -> None:
    """While nothing is tried nothing is counted."""
    guesses = pin_bench.guesses()
    pin_bench.koha.faults.down = True
    for _ in range(7):
        with pytest.raises(LibraryUnavailable):
            guesses.verify(CPR, PIN, HERE)
    pin_bench.koha.faults.down = False
    assert verdict(guesses, CPR, PIN) == "in"


def test_a_slow_library_does_not_hold_every_thread(pin_bench: Bench) -> None:
    """Without a seat the answer is at once that the library does not answer; a seat is given back."""
    seats = Semaphore(1)
    guesses = PinCheck(pin_bench.store, PSEUDONYMS, pin_bench.library, pin_bench.now, seats)
    assert [verdict(guesses, CPR, "0000"), verdict(guesses, CPR, PIN)] == ["wrong", "in"]
    seats.acquire()
    with pytest.raises(LibraryUnavailable):
        guesses.verify(CPR, PIN, HERE)


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """Give each store's URL."""
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else "sqlite:guesses.db"


def test_two_hundred_at_once_are_five(pin_bench: Bench, tmp_path: Path, url: str) -> None:
    """Two workers with their own connections to one store let five of 200 parallel guesses through."""
    workers = [pin_bench.guesses(open_store(url, tmp_path, accept_loss=True)) for _ in range(2)]
    with ThreadPoolExecutor(24) as threads:
        tries = threads.map(
            lambda number: verdict(workers[number % 2], CPR, f"{number:04}", f"network {number}"), range(200)
        )
        assert sorted(tries) == ["throttled"] * 195 + ["wrong"] * 5
    assert pin_bench.checks() == 5
