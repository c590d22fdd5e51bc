"""Stops calls to a library system that is silent, and asks for its status from time to time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, TypeVar

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault, SetupTrial
from broker.core.borrowers.pins import PinAnswer
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotMade, CallNotSent, LibraryError, LibrarySilent
from broker.core.ports import LibrarySystem

T = TypeVar("T")

# Silent calls in a row that open the circuit breaker.
_MOST_SILENT: Final = 3
_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=1)
_STATUS_CALL: Final = timedelta(seconds=3)
# The number of no borrower, larger than any that is given. Connectors refuse "0" without a call.
_NOBODY: Final = "4294967295"


@dataclass(slots=True)
class CircuitBreaker:
    """The port ``LibrarySystem`` over ``library``, which is not called while it is silent.

    Only silence opens it: no connection, no answer in time, or 502 to 504 from a gateway. Any
    other answer closes it. While it is open one caller at a time makes a status request.
    """

    library: LibrarySystem
    now: Callable[[], datetime]
    _silent_calls: int = field(default=0, init=False)
    _pause: timedelta = field(default=_FIRST_PAUSE, init=False)
    _next_trial: datetime | None = field(default=None, init=False)

    @property
    def is_open(self) -> bool:
        """Return whether the library system counts as silent."""
        return self._next_trial is not None

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return what the library system can do."""
        return self.library.capabilities

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Find the borrowers with a CPR number."""
        return self._call(lambda: self.library.find(cpr, deadline))

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Read one borrower."""
        return self._call(lambda: self.library.read(number, deadline))

    def find_similar(
        self, birth_date: date | None, email: str | None, deadline: datetime
    ) -> tuple[Borrower, ...]:
        """Find borrowers that may be duplicates."""
        return self._call(lambda: self.library.find_similar(birth_date, email, deadline))

    def list_borrowers(self) -> Iterator[Borrower]:
        """List every borrower, whatever the circuit breaker says."""
        return self.library.list_borrowers()

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Create a borrower."""
        return self._call(lambda: self.library.create(wanted, mark, deadline))

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Change a borrower."""
        return self._call(lambda: self.library.change(change, deadline))

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Set a PIN."""
        self._call(lambda: self.library.set_pin(number, pin, deadline))

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Find the borrowers that a typed text may mean."""
        return self._call(lambda: self.library.find_typed(text, deadline))

    def check_pin(self, borrower: Borrower, pin: str, deadline: datetime) -> PinAnswer:
        """Check a PIN."""
        return self._call(lambda: self.library.check_pin(borrower, pin, deadline))

    def prove(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Check the set-up, whatever the circuit breaker says."""
        return self.library.prove(expected, deadline)

    def try_setup(self, expected: ExpectedSetup, deadline: datetime) -> SetupTrial:
        """Try the set-up with trial borrowers, whatever the circuit breaker says."""
        return self.library.try_setup(expected, deadline)

    def _call(self, call: Callable[[], T]) -> T:
        self._admit()
        return self._observe(call)

    def _admit(self) -> None:
        """Let a call through, after a status request where the library system was silent."""
        if self._next_trial is None:
            return
        now = self.now()
        if now < self._next_trial:
            raise CallNotSent("the library system is silent")
        self._next_trial = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        try:
            self._observe(lambda: self.library.read(_NOBODY, now + _STATUS_CALL))
        except LibrarySilent:
            raise
        except LibraryError:
            return  # any answer says that it is there

    def _observe(self, call: Callable[[], T]) -> T:
        try:
            answer = call()
        except LibrarySilent:
            self._silent_calls += 1
            if self._silent_calls >= _MOST_SILENT and self._next_trial is None:
                self._next_trial = self.now() + self._pause
            raise
        except CallNotMade:
            raise  # our own limit: it says nothing about the library system
        except LibraryError:
            self._close()
            raise
        self._close()
        return answer

    def _close(self) -> None:
        self._silent_calls = 0
        self._pause = _FIRST_PAUSE
        self._next_trial = None
