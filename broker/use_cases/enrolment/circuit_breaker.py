"""Stops calls to a library system that is silent, and asks for its status from time to time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeVar

from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.errors import CallNotMade, CallNotSent, LibraryError, LibrarySilent
from broker.core.ports import LibrarySystem

P = ParamSpec("P")
T = TypeVar("T")

# Silent calls in a row that open the circuit breaker.
_MOST_SILENT: Final = 3
_PAUSE: Final = timedelta(seconds=10)
_STATUS_CALL: Final = timedelta(seconds=3)
# The number of no borrower, larger than any that is given. Connectors refuse "0" without a call.
_NOBODY: Final = "4294967295"


class CircuitBreaker:
    """The port ``LibrarySystem`` over ``library``, which is not called while it is silent.

    Only silence opens it: no connection, no answer in time, or 502 to 504 from a gateway. Any
    other answer closes it. While it is open, one caller in ten seconds makes a status request.
    """

    def __init__(self, library: LibrarySystem, now: Callable[[], datetime]) -> None:
        self._library = library
        self._now = now
        self._silent_calls = 0
        self._next_trial: datetime | None = None
        self.find = self._guard(library.find)
        self.read = self._guard(library.read)
        self.find_similar = self._guard(library.find_similar)
        self.create = self._guard(library.create)
        self.change = self._guard(library.change)
        self.set_pin = self._guard(library.set_pin)
        self.find_typed = self._guard(library.find_typed)
        self.check_pin = self._guard(library.check_pin)
        # Commands and the proof of the set-up ask whatever the circuit breaker says.
        self.list_borrowers = library.list_borrowers
        self.prove = library.prove
        self.try_setup = library.try_setup

    @property
    def is_open(self) -> bool:
        """Return whether the library system counts as silent."""
        return self._next_trial is not None

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return what the library system can do."""
        return self._library.capabilities

    def _guard(self, call: Callable[P, T]) -> Callable[P, T]:
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            self._admit()
            return self._observe(lambda: call(*args, **kwargs))

        return guarded

    def _admit(self) -> None:
        """Let a call through, after a status request where the library system was silent."""
        if self._next_trial is None:
            return
        now = self._now()
        if now < self._next_trial:
            raise CallNotSent("the library system is silent")
        self._next_trial = now + _PAUSE
        try:
            self._observe(lambda: self._library.read(_NOBODY, now + _STATUS_CALL))
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
                self._next_trial = self._now() + _PAUSE
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
        self._next_trial = None
