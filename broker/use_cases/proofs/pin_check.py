"""The check of a borrower's PIN: only for a person or a browser that has proved something else."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import LibraryUnavailable, LinkGone, TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import LibrarySystem, Store
from broker.use_cases.proofs.known_browsers import KnownBrowsers, KnownBrowserToken
from broker.use_cases.proofs.pin_letters import LETTER_LASTS, PinLetter
from broker.use_cases.proofs.rate_limits import CountedTry, Limit, Limits
from broker.use_cases.waiting_slots import WaitingSlots, waiting_slot

BEHIND_LETTER: Final = Limit("pin-letter", 10, LETTER_LASTS)
AT_TERMINALS: Final = Limit("pin-terminals", 5, timedelta(hours=1))
AT_ONE_TERMINAL: Final = Limit("pin-terminal", 20, timedelta(minutes=10))
OF_PERSON: Final = Limit("pin-person", 5, timedelta(days=1))
FAILURE_LASTS: Final = timedelta(milliseconds=400)
_CALLS: Final = timedelta(seconds=8)
_NOBODY: Final = "0"  # no library system numbers its borrowers from nought
_PIN: Final = re.compile(r"[\x20-\x7e]{1,64}")  # desks set longer ones than we do


class PinProblem(StrEnum):
    """The reason code of a PIN that lets nobody in."""

    WRONG = "pin_wrong"
    NOT_RIGHT = "pin_not_right"
    EXPIRED = "pin_expired"
    LOCKED = "pin_locked"
    NO_CARD_NUMBER = "pin_no_card_number"
    SEVERAL_ACCOUNTS = "pin_several_accounts"
    TOO_MANY = "pin_throttled"
    LETTER_USED_UP = "pin_letter_used_up"
    BROWSER_UNFIT = "pin_browser_unfit"
    CHANGED_SINCE = "pin_changed_since"


_PROBLEMS: Final = {
    PinAnswer.WRONG: PinProblem.WRONG,
    PinAnswer.EXPIRED: PinProblem.EXPIRED,
    PinAnswer.LOCKED: PinProblem.LOCKED,
    PinAnswer.NO_CARD_NUMBER: PinProblem.NO_CARD_NUMBER,
}
# Answers after which the try counts no longer.
_RIGHT: Final = frozenset({PinAnswer.RIGHT, PinAnswer.EXPIRED})


class _Asked(NamedTuple):
    """The library system's answer, and the borrower that it was about."""

    answer: PinAnswer
    borrower: Borrower | None

    @property
    def outcome(self) -> Borrower | PinProblem:
        """Return the borrower whose PIN was right, or the problem."""
        if self.answer is PinAnswer.RIGHT and self.borrower:
            return self.borrower
        return _PROBLEMS.get(self.answer, PinProblem.WRONG)


@dataclass(frozen=True, slots=True)
class PinCheck:
    """Tries of PINs, counted in ``store`` for all workers; ``pause`` sleeps, None does not.

    Every check returns the borrower or the problem. LibraryUnavailable where the library system did
    not answer; a try that reached it stays counted.
    """

    store: Store
    hmacs: LookupHmacs
    library: LibrarySystem
    now: Callable[[], datetime]
    waiting_slots: WaitingSlots | None = None
    pause: Callable[[float], None] | None = None

    def behind_letter(self, letter: PinLetter, pin: str) -> Borrower | PinProblem:
        """Check a PIN for whoever has opened the borrower's letter: ten wrong tries a letter.

        LinkGone where the borrower is gone.
        """
        if not _PIN.fullmatch(pin):
            return PinProblem.NOT_RIGHT
        try:
            taken = self._limits.take((BEHIND_LETTER, letter.code))
        except TooMany:
            return PinProblem.LETTER_USED_UP
        asked = self._asked(taken, lambda by: self._read(letter.number, by), pin)
        if asked.borrower is None:
            raise LinkGone("a letter of a borrower that is gone")
        if asked.answer is PinAnswer.WRONG:
            return PinProblem.NOT_RIGHT
        return asked.outcome

    def in_known_browser(self, known: KnownBrowserToken, pin: str) -> Borrower | PinProblem:
        """Check a PIN in a browser that is known for the borrower.

        What does not fit the browser's own HMAC never reaches the library system: from there nobody
        is locked out. Where the PIN has been changed elsewhere since, the browser is known no
        longer.
        """
        browsers = KnownBrowsers(self.store, self.hmacs, self.now)
        if not _PIN.fullmatch(pin) or not browsers.fits(known, pin):
            return PinProblem.BROWSER_UNFIT
        asked = self._asked((), lambda by: self._read(known.number, by), pin)
        if asked.answer is PinAnswer.WRONG:
            browsers.forget(known)
            return PinProblem.CHANGED_SINCE
        return asked.outcome

    def at_terminal(self, identifier: str, pin: str, address: str) -> Borrower | PinProblem:
        """Check number and PIN at a terminal that staff run: a wrong pair is one answer.

        It takes as long whether the number is anybody's or not.
        """
        limits = ((AT_TERMINALS, identifier.casefold()), (AT_ONE_TERMINAL, address))
        return self._of_number(identifier, pin, limits)

    def of_person(self, identifier: str, pin: str, person: str) -> Borrower | PinProblem:
        """Check number and PIN of a temporary borrower for a person who is logged in.

        A borrower with a CPR number is none, and its PIN is not checked: everybody with a login
        could guess at it, and have the library system lock the account.
        """
        limits = ((OF_PERSON, person),)
        return self._of_number(identifier, pin, limits, temporary=True)

    def _of_number(
        self,
        identifier: str,
        pin: str,
        limits: tuple[tuple[Limit, str], ...],
        *,
        temporary: bool = False,
    ) -> Borrower | PinProblem:
        if not _PIN.fullmatch(pin):
            return PinProblem.WRONG
        began = self.now()
        try:
            taken = self._limits.take(*limits)
        except TooMany:
            return PinProblem.TOO_MANY
        several = False

        def typed(by: datetime) -> Borrower | None:
            nonlocal several
            found = self.library.typed(identifier, by)
            several = len(found) > 1
            if temporary:
                found = tuple(borrower for borrower in found if borrower.cpr is None)
            return found[0] if len(found) == 1 else None

        asked = self._asked(taken, typed, pin)
        if asked.borrower and asked.answer in _RIGHT:
            return asked.outcome
        self._wait(began)
        if several:
            return PinProblem.SEVERAL_ACCOUNTS
        # Who has shown nothing learns of no account that it is locked or has no card number.
        return PinProblem.WRONG

    def _asked(
        self, taken: tuple[CountedTry, ...], find: Callable[[datetime], Borrower | None], pin: str
    ) -> _Asked:
        """Ask the library system; give back the try unless it was a guess that failed."""
        found = False
        try:
            with waiting_slot(self.waiting_slots):
                borrower = find(self.now() + _CALLS)
                found = True
                number = borrower.number if borrower else _NOBODY
                answer = self.library.check_pin(number, pin, self.now() + _CALLS)
        except LibraryUnavailable:
            if not found:
                # Nothing was tried: who comes while the library system is down loses no try.
                self._limits.give_back(taken)
            raise
        if borrower and answer in _RIGHT:
            self._limits.give_back(taken)
        return _Asked(answer, borrower)

    def _read(self, number: str, by: datetime) -> Borrower | None:
        return self.library.read(number, by)

    def _wait(self, began: datetime) -> None:
        if self.pause is None:
            return
        # A library system that hashes only for a borrower that exists would show by its haste which
        # does not.
        left = began + FAILURE_LASTS - self.now()
        self.pause(max(0.0, left.total_seconds()))

    @property
    def _limits(self) -> Limits:
        return Limits(self.store, self.hmacs, self.now)
