"""Letters, tries, PIN changes and known browsers as they interleave, against a model of what each browser may do."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.adapters.mail.letter_texts import LetterTexts
from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Text
from broker.core.errors import LinkGone, TooMany
from broker.core.login.transaction import LIFETIME
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.proofs.known_browsers import KNOWN_FOR, BrowserToken, KnownBrowsers
from broker.use_cases.proofs.pin_check import PinCheck, PinProblem
from broker.use_cases.proofs.pin_letters import LETTER_LASTS, PinLetter, PinLetters
from broker.use_cases.proofs.pin_renewal import Asking, PinRenewal
from tests.use_cases.conftest import Hooks, Post, Shelf

NUMBERS: Final = {"1": ("0101990000", "T-1"), "2": ("0202990000", "T-2")}
OWNERS: Final = {typed: number for number, each in NUMBERS.items() for typed in each}
NOBODY: Final = "0303820000"
BROWSERS: Final = ("home", "hall", "attacker")
PINS: Final = ("5837", "7294", "6194")
HOUR: Final = timedelta(hours=1)


class Pins(RuleBasedStateMachine):
    """Two borrowers, three browsers of which one is an attacker's, a library, a mailbox and a clock."""

    def __init__(self) -> None:
        """Open it all."""
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "broker.db"
        sqlite.prepare(path)
        self.now = datetime(2026, 11, 26, 12, tzinfo=UTC)
        self.hooks = Hooks()
        self.library, self.post = Shelf(self.hooks), Post(self.hooks)
        hmacs, store, clock = LookupHmacs("i1", b"k" * 32), SqliteStore(path), lambda: self.now
        self.store = store
        letters = LetterTexts(Text("AU Library", "AU Library"), "https://login.example/pin", "the desk")
        self.codes = PinLetters(store, hmacs, clock)
        self.known = KnownBrowsers(store, hmacs, clock)
        self.check = PinCheck(store, hmacs, self.library, clock)
        self.renewal = PinRenewal(store, hmacs, self.library, self.post, letters, clock)
        # The model: what each browser has typed and when, who has which code since when, and who knows what.
        self.typed: dict[str, tuple[list[str], datetime]] = {}
        self.mailed: dict[str, list[tuple[str, datetime]]] = {number: [] for number in NUMBERS}
        self.tries: dict[str, int] = {}
        self.wrong_codes: dict[str, list[datetime]] = {browser: [] for browser in BROWSERS}
        self.tokens: dict[str, tuple[str, BrowserToken, str, datetime]] = {}
        self.misses: dict[str, int] = {}
        self.networks = 0
        # When each number was asked for at once, when what was put off is due, and which code it opens.
        self.places: dict[str, list[datetime]] = {typed: [] for typed in (*OWNERS, NOBODY)}
        self.queued: dict[str, datetime] = {}
        self.opens: set[tuple[str, str]] = set()

    @initialize()
    def begin(self) -> None:
        """Two borrowers with a PIN and a mail address."""
        for number, (cpr, card) in NUMBERS.items():
            mail = f"{number}@post.example"
            self.library.add(cpr, Borrower(number, "STUD", email=mail, cpr=cpr, card=card))
            self.library.pins[number] = PINS[0]

    @rule(browser=st.sampled_from(BROWSERS), typed=st.sampled_from([*OWNERS, NOBODY]))
    def ask(self, browser: str, typed: str) -> None:
        """Type a number in a browser; the letter is written at once where it is due."""
        self.networks += 1
        self.codes.typed(browser, typed, "transaction")
        numbers, last = self.typed.get(browser, ([], self.now))
        kept = [each for each in numbers if each != typed] if self.now < last + LIFETIME else []
        self.typed[browser] = ([*kept, typed][-4:], self.now)
        recent = [at for at in self.places[typed] if self.now < at + HOUR]
        self.queued.setdefault(typed, self.now if len(recent) < 3 else self.now + HOUR)
        if len(recent) < 3:
            self.places[typed] = [*recent, self.now]
        self.renewal.ask(typed, f"network {self.networks}", lambda: Asking("en"))
        self._write()

    @rule(hours=st.sampled_from([0.1, 0.6, 1.1, 5, 22.9, 24.1]))
    def wait(self, hours: float) -> None:
        """Let time pass, and write what has become due."""
        self.now += timedelta(hours=hours)
        self._write()

    @rule(browser=st.sampled_from(BROWSERS), whose=st.sampled_from(list(NUMBERS)), pin=st.sampled_from(PINS))
    def try_behind_letter(self, browser: str, whose: str, pin: str) -> None:
        """Type the newest code of a mailbox, and a PIN: only where the number was typed, and within the day."""
        letter = self._opened(browser, whose)
        if letter is None:
            return
        assert letter.number == whose
        tries = self.tries.get(letter.code, 0)
        asked = self.hooks.calls.count("check_pin")
        outcome = self.check.behind_letter(letter, pin)
        if tries >= 10:
            assert outcome is PinProblem.LETTER_USED_UP
            assert self.hooks.calls.count("check_pin") == asked
        elif pin == self.library.pins[whose]:
            assert isinstance(outcome, Borrower)
            assert outcome.number == whose
        else:
            assert outcome is PinProblem.NOT_RIGHT
            self.tries[letter.code] = tries + 1

    @rule(browser=st.sampled_from(BROWSERS), whose=st.sampled_from(list(NUMBERS)))
    def tick(self, browser: str, whose: str) -> None:
        """Log in behind the letter with the right PIN, and tick that the browser is one's own."""
        letter = self._opened(browser, whose)
        pin = self.library.pins[whose]
        if letter is None or not isinstance(self.check.behind_letter(letter, pin), Borrower):
            return
        token = self.known.remember(self.library.borrowers[whose], letter.identifiers, pin)
        self.tokens[browser] = (whose, token, pin, self.now)
        self.misses[browser] = 0

    @rule(
        browser=st.sampled_from(BROWSERS),
        typed=st.sampled_from([*OWNERS, NOBODY]),
        pin=st.sampled_from([*PINS, "0000"]),
    )
    def try_as_known(self, browser: str, typed: str, pin: str) -> None:
        """Show number and PIN: a browser that is not known for the number reaches nobody."""
        whose, token, fit, since = self.tokens.get(browser, ("", BrowserToken("0" * 64, ""), "", self.now))
        known = self.known.of((token,), typed)
        alive = bool(whose) and OWNERS.get(typed) == whose and self.now < since + KNOWN_FOR
        assert (known is not None) is alive
        if known is None:
            return
        asked = self.hooks.calls.count("check_pin")
        outcome = self.check.in_known_browser(known, pin)
        if self.misses[browser] >= 10 or pin != fit:
            assert outcome is PinProblem.BROWSER_UNFIT
            assert self.hooks.calls.count("check_pin") == asked
            self.misses[browser] += 1
            if self.misses[browser] > 10:
                del self.tokens[browser]
            return
        self.misses[browser] = 0
        if pin == self.library.pins[whose]:
            assert isinstance(outcome, Borrower)
            assert outcome.number == whose
        else:
            assert outcome is PinProblem.CHANGED_SINCE
            del self.tokens[browser]

    @rule(whose=st.sampled_from(list(NUMBERS)), pin=st.sampled_from(PINS))
    def change_elsewhere(self, whose: str, pin: str) -> None:
        """Change the PIN at the library's own pages."""
        self.library.pins[whose] = pin

    @rule(browser=st.sampled_from(BROWSERS), whose=st.sampled_from(list(NUMBERS)))
    def renew(self, browser: str, whose: str) -> None:
        """Get a new PIN behind the letter: it is mailed to the owner, and the tries begin anew."""
        letter = self._opened(browser, whose)
        if letter is None:
            return
        before = self.library.pins[whose]
        try:
            self.renewal.renew(letter, "en")
        except TooMany:
            assert self.library.pins[whose] == before
            return
        assert self.post.sent[-1].to == f"{whose}@post.example"
        assert f"is: {self.library.pins[whose]}\n" in self.post.sent[-1].text
        self.tries[letter.code] = 0

    @precondition(lambda self: any(self.mailed.values()))
    @rule(browser=st.sampled_from(BROWSERS), code=st.text("bcdfghjkmnpqrstvwxyz", min_size=10, max_size=10))
    def guess_a_code(self, browser: str, code: str) -> None:
        """Type a code that nobody was mailed: it opens nothing, whatever number was typed."""
        try:
            self.codes.opened(code, browser)
        except LinkGone:
            self.wrong_codes[browser].append(self.now)
        except TooMany:
            assert self._is_full(browser)
        else:
            raise AssertionError("a code that was never mailed")

    @invariant()
    def a_code_of_the_day_is_in_the_mailbox(self) -> None:
        """Who asked within the last hour has a code that works for an hour at least."""
        for typed, number in OWNERS.items():
            if self.now in self.places[typed]:
                code = self.mailed[number][-1][0]
                first = next(at for each, at in self.mailed[number] if each == code)
                assert self.now <= first + LETTER_LASTS - HOUR

    @invariant()
    def a_code_is_mailed_three_times(self) -> None:
        """And no borrower has two codes that are mailed at one time."""
        for mails in self.mailed.values():
            for code in {code for code, _ in mails}:
                assert [each for each, _ in mails].count(code) <= 3
            times = [at for _, at in mails]
            assert times == sorted(times)

    def _opened(self, browser: str, whose: str) -> PinLetter | None:
        """Open the newest letter of a mailbox where it opens, as the model says."""
        mails = self.mailed[whose]
        if not mails:
            return None
        code, first = mails[-1][0], next(at for each, at in mails if each == mails[-1][0])
        numbers, last = self.typed.get(browser, ([], first))
        lives = self.now < min(first + LETTER_LASTS, last + LIFETIME)
        fits = lives and any((typed, code) in self.opens for typed in numbers)
        try:
            letter = self.codes.opened(code, browser)
        except LinkGone:
            assert not fits
            self.wrong_codes[browser].append(self.now)
            return None
        except TooMany:
            assert self._is_full(browser)
            return None
        assert fits
        return letter

    def _is_full(self, browser: str) -> bool:
        recent = [at for at in self.wrong_codes[browser] if self.now < at + timedelta(minutes=10)]
        return len(recent) >= 10

    def _write(self) -> None:
        before = len(self.post.sent)
        while self.renewal.step():
            pass
        for sent in self.post.sent[before:]:
            code = sent.text.partition("Your code is: ")[2][:11].replace("-", "")
            whose = sent.to.partition("@")[0]
            self.mailed[whose].append((code, self.now))
        for typed in [typed for typed, due in self.queued.items() if due <= self.now]:
            del self.queued[typed]
            if typed in OWNERS:
                # Whoever asks may use the code of the day, mailed now or before.
                self.opens.add((typed, self.mailed[OWNERS[typed]][-1][0]))

    def teardown(self) -> None:
        """Close the store."""
        for connection in self.store._connections.idle:
            connection.close()
        self.folder.cleanup()


Pins.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPins = pytest.mark.slow(Pins.TestCase)
