"""The codes of letters: one a day for each borrower, and the browsers that it opens in."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.errors import LinkGone, TooMany
from broker.core.login.transaction import LIFETIME
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.proofs.pin_letters import CODES, LETTER_LASTS, PinLetters

CPR, CARD, ANOTHERS = "0101990000", "T-2001", "0202990000"
HOME, ELSEWHERE = "home", "elsewhere"
HMACS: Final = LookupHmacs("k1", b"k" * 32)


@pytest.fixture
def letters(world: Any) -> PinLetters:
    """Give the letters of one worker."""
    return PinLetters(world.store, HMACS, lambda: world.now)


def opens(letters: PinLetters, code: str, browser: str = HOME) -> bool:
    """Say whether a code opens a letter in a browser."""
    try:
        letters.opened(code, browser)
    except LinkGone:
        return False
    return True


def test_a_code_opens_where_a_number_of_its_borrower_was_typed(letters: PinLetters) -> None:
    """In every such browser, and in no other, however often: nothing is used up by looking."""
    code = letters.current("1", CPR).code
    letters.typed(HOME, CPR, "t")
    letters.typed(ELSEWHERE, ANOTHERS, "t")
    assert all(opens(letters, code) for _ in range(12))
    assert not opens(letters, code, ELSEWHERE)
    assert not opens(letters, code, "new")
    letters.typed(ELSEWHERE, CPR, "t")
    assert opens(letters, code, ELSEWHERE)


@pytest.mark.parametrize("written", ["{0}", " {0} ", "{1}-{2}", "{1} {2}", "\u200b{1}\u2013{2}\n"])
def test_a_code_is_read_as_people_write_it(letters: PinLetters, written: str) -> None:
    """In capitals, in halves, with what a paste brings along."""
    code = letters.current("1", CPR).code
    letters.typed(HOME, CPR, "t")
    for spelt in (code, code.upper()):
        assert opens(letters, written.format(spelt, spelt[:5], spelt[5:]))


@pytest.mark.parametrize("typed", ["", "bcdfg", "b" * 11, "1234567890", "aeiouaeiou", "bcdfg-hjkm\u043d", "' or 1=1"])
def test_what_is_no_code_opens_nothing(letters: PinLetters, typed: str) -> None:
    """Other lengths, digits, vowels, other scripts."""
    letters.current("1", CPR)
    letters.typed(HOME, CPR, "t")
    assert not opens(letters, typed)


def test_a_borrower_has_one_code_however_it_was_asked_for(letters: PinLetters) -> None:
    """Each number that was typed opens it from then on, in browsers that typed it before too."""
    letters.typed(HOME, CARD, "t")
    first = letters.current("1", CPR)
    assert not opens(letters, first.code)
    second = letters.current("1", CARD)
    assert first.code == second.code != letters.current("2", ANOTHERS).code
    assert opens(letters, first.code)
    assert letters.current("1", CARD.lower()).identifiers == second.identifiers


def test_a_code_lasts_a_day_and_is_mailed_while_it_has_an_hour(world: Any, letters: PinLetters) -> None:
    """What is mailed last works for an hour; then the borrower has another code."""
    code = letters.current("1", CPR).code
    world.now += LETTER_LASTS - timedelta(hours=1, seconds=1)
    assert letters.current("1", CPR).code == code
    world.now += timedelta(seconds=1)
    assert letters.current("1", CPR).code != code
    letters.typed(HOME, CPR, "t")
    world.now += timedelta(minutes=20)
    assert opens(letters, code)
    world.now += timedelta(minutes=40)
    letters.typed(HOME, CPR, "t")
    assert not opens(letters, code)


def test_a_browser_forgets_what_was_typed(world: Any, letters: PinLetters) -> None:
    """After half an hour, or four other numbers later: at a shared computer the next person has typed nothing."""
    code = letters.current("1", CPR).code
    letters.typed(HOME, CPR, "t")
    world.now += LIFETIME
    assert not opens(letters, code)
    letters.typed(HOME, CPR, "t")
    for number in range(4):
        assert opens(letters, code)
        letters.typed(HOME, str(number), "t")
    assert not opens(letters, code)


def test_the_last_transaction_waits(world: Any, letters: PinLetters) -> None:
    """A link leads to where the number was typed last, in one of the browser's names."""
    assert letters.waiting(()) is None
    letters.typed(HOME, CPR, "first")
    letters.typed(HOME, CARD, "second")
    assert letters.waiting((ELSEWHERE, HOME)) == "second"
    world.now += LIFETIME
    assert letters.waiting((HOME,)) is None


def test_a_letter_ends_a_day_after_the_first_asking(world: Any, letters: PinLetters) -> None:
    """By whatever other number it is asked for again meanwhile."""
    code = letters.current("1", CPR).code
    world.now += LETTER_LASTS / 2
    assert letters.current("1", CARD).code == code
    world.now += LETTER_LASTS / 2
    letters.typed(HOME, CARD, "t")
    assert not opens(letters, code)


def test_wrong_codes_end(world: Any, letters: PinLetters) -> None:
    """After ten from one browser none is looked at for ten minutes, not even the right one; another browser goes on."""
    code = letters.current("1", CPR).code
    for browser in (HOME, ELSEWHERE):
        letters.typed(browser, CPR, "t")
    assert not any(opens(letters, "bcdfghjkmn") for _ in range(CODES.most))
    with pytest.raises(TooMany):
        letters.opened(code, HOME)
    assert opens(letters, code, ELSEWHERE)
    world.now += CODES.within
    assert opens(letters, code)


def test_asking_at_once_makes_one_code(letters: PinLetters) -> None:
    """Sixty workers that write to one borrower mail the same code, and each number opens it."""
    numbers = [f"card-{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda number: letters.current("1", number), numbers))
    assert len({letter.code for letter in found}) == 1
    for number in numbers:
        letters.typed(number, number, "t")
        assert opens(letters, found[0].code, number)


class Watched:
    """A store that remembers which of its methods were asked for."""

    def __init__(self, store: Any) -> None:
        """Stand before ``store``."""
        self.store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Give the store's own, and remember."""
        self.calls.append(name)
        return getattr(self.store, name)


def test_what_was_typed_already_is_not_written_again(world: Any, letters: PinLetters) -> None:
    """The same number in the same login lives as long as the login does."""
    store = Watched(world.store)
    letters = replace(letters, store=store)
    for _ in range(5):
        letters.typed(HOME, CPR, "t")
    assert store.calls.count("put") == 1
    letters.typed(HOME, CPR, "later")
    assert letters.waiting([HOME]) == "later"


def test_a_browser_whose_asking_is_refused_writes_its_first_few_numbers_only(world: Any, letters: PinLetters) -> None:
    """So a letter of the day opens for whoever sits behind a network that asked too often; a flood writes nothing."""
    code = letters.current("1", CPR).code
    letters.typed(HOME, CPR, "t", refused=True)
    store = Watched(world.store)
    watched = replace(letters, store=store)
    for number in range(20):
        watched.typed(HOME, f"T-{number}", "t", refused=True)
    assert store.calls.count("put") == 3
    assert opens(letters, code)


def test_a_browser_whose_codes_are_refused_writes_its_first_few_numbers_only(world: Any, letters: PinLetters) -> None:
    """Whoever guesses codes beside ever new numbers has had ten tries, and writes nothing for the next."""
    for number in range(CODES.most):
        letters.typed(HOME, f"T-{number}", "t")
        assert not opens(letters, "bcdfghjkmn")
    with pytest.raises(TooMany):
        letters.opened("bcdfghjkmn", HOME)
    store = Watched(world.store)
    watched = replace(letters, store=store)
    for number in range(20):
        watched.typed(HOME, f"T-{100 + number}", "t")
        with pytest.raises(TooMany):
            watched.opened("bcdfghjkmn", HOME)
    assert set(store.calls) == {"get"}


def test_a_refused_asking_of_a_full_browser_asks_no_store(world: Any, letters: PinLetters) -> None:
    """Once its four numbers are kept, whatever number comes next; what is not refused is kept as before."""
    store = Watched(world.store)
    letters = replace(letters, store=store)
    for number in range(4):
        letters.typed(HOME, str(number), "t", refused=True)
    asked = len(store.calls)
    for typed in ("0", CPR, CARD):
        letters.typed(HOME, typed, "t", refused=True)
    assert len(store.calls) == asked
    letters.typed(HOME, CPR, "later")
    letters.typed(ELSEWHERE, CPR, "elsewhere", refused=True)
    assert [letters.waiting([browser]) for browser in (HOME, ELSEWHERE)] == ["later", "elsewhere"]


def test_a_full_browser_is_looked_at_again(world: Any, letters: PinLetters) -> None:
    """What it typed is forgotten after half an hour: then a refused number is kept again."""
    for number in range(5):
        letters.typed(HOME, str(number), "first", refused=True)
    world.now += LIFETIME
    letters.typed(HOME, CPR, "second", refused=True)
    assert letters.waiting([HOME]) == "second"
