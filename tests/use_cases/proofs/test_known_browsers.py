"""Known browsers: for which numbers they are known, by which PIN, and when that ends."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.proofs.known_browsers import KNOWN_FOR, BrowserToken, KnownBrowsers
from broker.use_cases.proofs.pin_letters import identifier_pseudonym

HMACS: Final = LookupHmacs("k1", b"k" * 32)
CPR, CARD, PIN = "0101990000", "T-2001", "5837"
KIM: Final = Borrower("1", "STUD", cpr=CPR, card=CARD)
BO: Final = Borrower("2", "STUD", cpr="0202990000")


@pytest.fixture
def browsers(world: Any) -> KnownBrowsers:
    """Give the known browsers of one worker."""
    return KnownBrowsers(world.store, HMACS, lambda: world.now)


def fits(browsers: KnownBrowsers, token: BrowserToken, pin: str, typed: str = CPR) -> bool | None:
    """Say whether a PIN fits in the browser; None where it does not know what is typed."""
    known = browsers.of((token,), typed)
    return browsers.fits(known, pin) if known else None


def test_it_knows_every_number_of_its_borrower(browsers: KnownBrowsers) -> None:
    """What was typed when it became known, the CPR number and the card; nobody else's."""
    user_name = identifier_pseudonym(HMACS, "kim.holm")
    token = browsers.remember(KIM, (user_name,), PIN)
    assert [fits(browsers, token, PIN, typed) for typed in (CPR, CARD, "t-2001", "Kim.Holm")] == [True] * 4
    assert [fits(browsers, token, PIN, typed) for typed in ("1", "0202990000", "", "T-2002")] == [None] * 4


def test_each_browser_is_known_for_its_own(browsers: KnownBrowsers) -> None:
    """Two borrowers of one household, each with a token of their own."""
    tokens = (browsers.remember(KIM, (), PIN), browsers.remember(BO, (), "7294"))
    known = [browsers.of(tokens, str(each.cpr)) for each in (KIM, BO)]
    assert [each and each.number for each in known] == ["1", "2"]
    assert browsers.knows_any(tokens)
    assert not browsers.knows_any(())


FORGED: Final[Mapping[str, Callable[[BrowserToken, BrowserToken], BrowserToken]]] = {
    "another's fit": lambda own, other: replace(own, fit=other.fit),
    "another's secret": lambda own, other: replace(own, secret=other.secret),
    "made up": lambda own, _: replace(own, secret="a" * 64),
    "no fit": lambda own, _: replace(own, fit=""),
}


@pytest.mark.attack(31)
@pytest.mark.parametrize("forge", FORGED)
def test_a_forged_token_fits_no_pin(browsers: KnownBrowsers, forge: str) -> None:
    """Whoever writes the cookie themselves, or joins two of them, is let in by no PIN."""
    own, other = browsers.remember(KIM, (), PIN), browsers.remember(BO, (), PIN)
    forged = FORGED[forge](own, other)
    assert not any(fits(browsers, forged, PIN, typed) for typed in (CPR, "0202990000"))


def test_ten_wrong_tries_end_it_for_good(world: Any, browsers: KnownBrowsers) -> None:
    """A thief of the browser has ten tries; then it is known no longer, not even with the cookie put back later."""
    token = browsers.remember(KIM, (), PIN)
    assert [fits(browsers, token, f"{number:04}") for number in range(10)] == [False] * 10
    assert fits(browsers, token, PIN) is False
    world.now += KNOWN_FOR / 2
    assert fits(browsers, token, PIN) is None


def test_a_right_try_forgets_the_wrong_ones(browsers: KnownBrowsers) -> None:
    """Its owner mistypes now and then, all year."""
    token = browsers.remember(KIM, (), PIN)
    for _ in range(4):
        assert [fits(browsers, token, "0000") for _ in range(9)] == [False] * 9
        assert fits(browsers, token, PIN)


def test_wrong_tries_at_once_are_ten(browsers: KnownBrowsers) -> None:
    """A hundred parallel guesses with one cookie: the right one is among the first ten, or too late."""
    token = browsers.remember(KIM, (), PIN)
    known = browsers.of((token,), CPR)
    assert known
    guesses = [f"{number:04}" for number in range(99)]
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(lambda pin: browsers.fits(known, pin), guesses)) == [False] * 99
    assert fits(browsers, token, PIN) is None


def test_it_ends_after_a_year(world: Any, browsers: KnownBrowsers) -> None:
    """However long the browser keeps its cookie."""
    token = browsers.remember(KIM, (), PIN)
    world.now += KNOWN_FOR
    assert fits(browsers, token, PIN) is None
    assert not browsers.knows_any((token,))


def test_the_store_holds_nothing_of_the_pin(browsers: KnownBrowsers) -> None:
    """Two borrowers' records differ in the number only, whatever their PINs: the rest is in the cookie."""
    first, second = browsers.remember(KIM, (), PIN), browsers.remember(KIM, (), "7294")
    records = [browsers._browsers.get(browsers._key(token.secret), browsers.now()) for token in (first, second)]
    assert records[0]
    assert records[1]
    assert records[0].value == records[1].value
