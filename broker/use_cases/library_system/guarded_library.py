"""The library system behind a circuit breaker, with one change of a borrower at a time."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeVar

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import LibraryCapability
from broker.core.errors import (
    CallNotMade,
    CallNotSent,
    ChangeUnanswered,
    LibraryError,
    LibrarySilent,
    StoreUnavailable,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, LibrarySystem, Store
from broker.use_cases.library_system.setup_check import make_setup_check_due
from broker.use_cases.storage.records import Lease

P = ParamSpec("P")
T = TypeVar("T")
# Holds a slot while a request waits for the library system: a slow one must not occupy every
# thread. LibraryUnavailable if no slot is free.
WaitingSlot = Callable[[], AbstractContextManager[None]]

# A library system may carry out a call until this long after it was sent.
LATE: Final = timedelta(minutes=10)
# Silent calls in a row that open the circuit breaker.
_MOST_SILENT: Final = 3
_PAUSE: Final = timedelta(seconds=10)
_STATUS_CALL: Final = timedelta(seconds=3)
# A borrower number for status requests: no borrower has one so large. "0" would not do, because
# connectors refuse it without a call.
_NONEXISTENT_BORROWER: Final = "4294967295"


@dataclass(frozen=True, slots=True)
class BorrowerLeases:
    """Leases of borrowers: while one is held, no other change of the borrower is sent.

    Some library systems accept only a whole borrower. If two changes read and write it at the same
    time, the second undoes the first. The lease of an enrolment is for a person; this one is for a
    borrower.
    """

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def hold(self, borrower_number: str, until: datetime) -> Lease | None:
        """Take the lease of a borrower until then; None if another change may be under way."""
        key = Key("lease", self.hmacs.compute("borrower-change", borrower_number))
        return Lease.take(self.store, key, until, self.now())


class GuardedLibrary:
    """The port ``LibrarySystem`` over ``library``, with a circuit breaker.

    Only silence opens the circuit breaker: no connection, no answer in time, or 502 to 504 from a
    gateway. Any other answer closes it. While it is open, calls fail at once; every ten seconds one
    caller makes a status request first. Each change of a borrower takes a lease. If a create or
    change fails because of a setting, the check of the set-up becomes due.
    """

    def __init__(
        self, library: LibrarySystem, store: Store, hmacs: LookupHmacs, now: Callable[[], datetime]
    ) -> None:
        self._library = library
        self._store = store
        self._leases = BorrowerLeases(store, hmacs, now)
        self._now = now
        self._silent_calls = 0
        self._next_trial: datetime | None = None
        self.find = self._guard(library.find)
        self.read = self._guard(library.read)
        self.find_similar = self._guard(library.find_similar)
        self.find_typed = self._guard(library.find_typed)
        self.check_pin = self._guard(library.check_pin)
        # The caller holds the lease: see BorrowerLeases.
        self.set_pin = self._guard(library.set_pin)
        self.create = self._notice_settings(self._guard(library.create))
        self._change = self._notice_settings(self._guard(library.change))
        # Commands and the check of the set-up call even while the circuit breaker is open.
        self.list_borrowers = library.list_borrowers
        self.check_setup = library.check_setup
        self.try_setup = library.try_setup

    @property
    def is_open(self) -> bool:
        """Return whether the library system counts as silent."""
        return self._next_trial is not None

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return what the library system can do."""
        return self._library.capabilities

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Change the borrower; raises CallNotMade while another change of it is in progress.

        The lease ends with an answer. A change without an answer may be carried out ten minutes
        later, so its lease stays until then.
        """
        lease = self._leases.hold(change.number, deadline + LATE)
        if lease is None:
            raise CallNotMade("another change of the borrower is under way")
        try:
            after = self._change(change, deadline)
        except ChangeUnanswered:
            raise
        except LibraryError:
            lease.end(self._now())
            raise
        lease.end(self._now())
        return after

    def _notice_settings(self, call: Callable[P, T]) -> Callable[P, T]:
        def call_noticing(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return call(*args, **kwargs)
            except LibraryError as error:
                if error.setting:
                    with suppress(StoreUnavailable):
                        make_setup_check_due(self._store, self._now())
                raise

        return call_noticing

    def _guard(self, call: Callable[P, T]) -> Callable[P, T]:
        def call_guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            self._admit()
            return self._observe(lambda: call(*args, **kwargs))

        return call_guarded

    def _admit(self) -> None:
        """Let a call through, after a status request if the library system was silent."""
        if self._next_trial is None:
            return
        now = self._now()
        if now < self._next_trial:
            raise CallNotSent("the library system is silent")
        self._next_trial = now + _PAUSE
        try:
            self._observe(lambda: self._library.read(_NONEXISTENT_BORROWER, now + _STATUS_CALL))
        except LibrarySilent:
            raise
        except LibraryError:
            return  # any answer shows that the library system is up

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
