"""The check of a borrower's PIN: each try is counted before it is made, so that none is guessed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import PinAnswer, identifier_of
from broker.core.errors import LibraryUnavailable, TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import LibrarySystem, Store
from broker.flows.borrowers.borrower_lookup import borrower_of_identifier
from broker.flows.proofs.rate_limits import CountedTry, Limit, Limits
from broker.flows.waiting_slots import WaitingSlots, waiting_slot

# PER_BORROWER and PER_KNOWN bound what reaches the library system's own lock-out (Koha:
# FailedLoginAttempts), by which whoever knows a number could lock its borrower out of the
# self-service machines from here.
PER_IDENTIFIER: Final = Limit("pin-identifier", 5, timedelta(minutes=15))
PER_BORROWER: Final = Limit("pin-borrower", 10, timedelta(days=1))
PER_NETWORK: Final = Limit("pin-network", 30, timedelta(hours=1))
BRAKE: Final = Limit("pin-brake", 300, timedelta(minutes=10))
# One try at each of many accounts is stopped by no count of one account: this bounds what a day of
# it can find.
DAILY_BRAKE: Final = Limit("pin-brake-daily", 2000, timedelta(days=1))
PER_BROWSER: Final = Limit("pin-browser", 5, timedelta(minutes=15))
# Of all browsers that a borrower knows: whoever knew the PIN once may have made as many as they
# like.
PER_KNOWN: Final = Limit("pin-known", 10, timedelta(days=1))
# Looks for a browser that passes the limits above because some borrower knows it, whoever it then
# asks for.
PER_MARK: Final = Limit("pin-mark", 10, timedelta(minutes=15))
FAILURE_LASTS: Final = timedelta(milliseconds=400)
_CALLS: Final = timedelta(seconds=8)
_NOBODY: Final = "0"  # no library system numbers its borrowers from nought
_PIN: Final = re.compile(r"[\x20-\x7e]{1,64}")  # desks set longer ones than we do


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that has logged in with PINs before.

    ``marks`` names the borrowers that know it, as pseudonyms; ``known`` returns the browser's own
    pseudonym if the borrower of a number is one of them.
    """

    marks: tuple[str, ...]
    known: Callable[[str], str | None]


class _Admitted(NamedTuple):
    """The places a try has taken so far.

    ``stranger`` is False where only a known browser may go on.
    """

    places: tuple[CountedTry, ...]
    stranger: bool


@dataclass(frozen=True, slots=True)
class PinCheck:
    """Tries of PINs, counted in ``store`` for all workers; ``pause`` sleeps, None does not."""

    store: Store
    hmacs: LookupHmacs
    library: LibrarySystem
    now: Callable[[], datetime]
    waiting_slots: WaitingSlots | None = None
    pause: Callable[[float], None] | None = None

    def verify(
        self,
        identifier: str,
        pin: str,
        network: str,
        device: Device | None = None,
    ) -> Borrower | None:
        """Return the one borrower of a CPR or borrower number if ``pin`` is its PIN, else None.

        TooMany once throttled. A ``device`` that the number's borrower knows has tries of its own,
        so that nobody shuts the person out by guessing elsewhere. Every try that fails stays
        counted, one whose answer was lost too; LibraryUnavailable then. An identifier that nobody
        has costs the same calls, counts the same and takes as long as another.
        """
        digits = identifier_of(identifier)
        if digits is None or not _PIN.fullmatch(pin):
            return None
        began = self.now()
        # Before there is a slot: a try that is throttled must not keep others waiting.
        admitted = self._admitted(digits, network, device)
        borrower = self._asked(digits, pin, device, admitted)
        if borrower is None and self.pause is not None:
            # A library system that hashes only for a borrower that exists would show by its haste
            # which does not.
            left = began + FAILURE_LASTS - self.now()
            self.pause(max(0.0, left.total_seconds()))
        return borrower

    def _asked(
        self,
        digits: str,
        pin: str,
        device: Device | None,
        admitted: _Admitted,
    ) -> Borrower | None:
        looked = False
        try:
            with waiting_slot(self.waiting_slots):
                deadline = self.now() + _CALLS
                borrower = borrower_of_identifier(self.library, digits, deadline)
                looked = True
                taken = self._counted(admitted, borrower, digits, device)
                return self._tried(borrower, pin, taken)
        except LibraryUnavailable:
            if not looked:
                # Nothing was tried: a person who comes while the library system is down is not shut
                # out for it.
                self._limits.give_back(admitted.places)
            raise

    def _tried(
        self,
        borrower: Borrower | None,
        pin: str,
        taken: tuple[CountedTry, ...],
    ) -> Borrower | None:
        number = borrower.number if borrower else _NOBODY
        answer = self.library.check_pin(number, pin, self.now() + _CALLS)
        if borrower is None or answer is not PinAnswer.RIGHT:
            return None
        self._limits.give_back(taken)
        return borrower

    @property
    def _limits(self) -> Limits:
        return Limits(self.store, self.hmacs, self.now)

    def _admitted(
        self,
        digits: str,
        network: str,
        device: Device | None,
    ) -> _Admitted:
        """Count a stranger's try, or if that is one too many the look of a known browser."""
        strangers = (
            (PER_IDENTIFIER, digits),
            (PER_NETWORK, network),
            (BRAKE, "all"),
            (DAILY_BRAKE, "all"),
        )
        try:
            return _Admitted(self._limits.take(*strangers), stranger=True)
        except TooMany:
            if device is None:
                raise
            looks = [(PER_MARK, mark) for mark in device.marks]
            return _Admitted(self._limits.take(*looks), stranger=False)

    def _counted(
        self,
        admitted: _Admitted,
        borrower: Borrower | None,
        digits: str,
        device: Device | None,
    ) -> tuple[CountedTry, ...]:
        """Count the try of a browser that the borrower knows, or else the borrower's day.

        The first in place of the stranger's try that was counted.
        """
        number = borrower.number if borrower else f"nobody {digits}"
        browser = device.known(borrower.number) if device and borrower else None
        if browser is None and not admitted.stranger:
            raise TooMany(PER_IDENTIFIER.name)
        if browser is None:
            return (*admitted.places, *self._limits.take((PER_BORROWER, number)))
        taken = self._limits.take((PER_BROWSER, browser), (PER_KNOWN, number))
        if not admitted.stranger:
            return (*admitted.places, *taken)
        self._limits.give_back(admitted.places)
        return taken
