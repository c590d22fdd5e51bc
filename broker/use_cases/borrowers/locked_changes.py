"""Of each borrower one change at a time, whoever makes it: an enrolment, or a person's new PIN.

A library system may take a borrower only whole: of two that read it and write it back, the second
would undo the first. The lease of an enrolment is that of a person; this one is of the borrower.
A write of a whole borrower whose answer was lost, or whose sender died, may be carried out later:
the lease then stays for ten minutes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotMade, ChangeUnanswered, LibraryError, StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import LibrarySystem, Store
from broker.use_cases.borrower_leases import LATE, BorrowerLeases
from broker.use_cases.borrowers.library_proof import make_proof_due


class LockedChanges:
    """The port ``LibrarySystem`` over ``library``, with a lease for each change of a borrower."""

    def __init__(
        self, library: LibrarySystem, store: Store, hmacs: LookupHmacs, now: Callable[[], datetime]
    ) -> None:
        self._library = library
        self._store = store
        self._leases = BorrowerLeases(store, hmacs, now)
        self._now = now
        # What changes no borrower that is there goes straight to the library system.
        self.find = library.find
        self.read = library.read
        self.find_similar = library.find_similar
        self.list_borrowers = library.list_borrowers
        self.find_typed = library.find_typed
        self.check_pin = library.check_pin
        self.prove = library.prove
        # The caller holds the lease: see BorrowerLeases.
        self.set_pin = library.set_pin
        self.try_setup = library.try_setup

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return what the library system can do."""
        return self._library.capabilities

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Make the borrower."""
        with self._noticed():
            return self._library.create(wanted, mark, deadline)

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Change the borrower; CallNotMade while another change of it is under way."""
        with self._noticed(), self._alone(change, deadline):
            return self._library.change(change, deadline)

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Make the proof of the set-up due where an error names a setting."""
        try:
            yield
        except LibraryError as error:
            if error.setting:
                with suppress(StoreUnavailable):
                    make_proof_due(self._store, self._now())
            raise

    @contextmanager
    def _alone(self, change: Change, deadline: datetime) -> Iterator[None]:
        """Hold the lease of a borrower; it ends with an answer, or ten minutes after the call."""
        lease = self._leases.hold(change.number, deadline + LATE)
        if lease is None:
            raise CallNotMade("another change of the borrower is under way")
        try:
            yield
        except ChangeUnanswered:
            raise
        except LibraryError:
            lease.end(self._now())
            raise
        lease.end(self._now())
