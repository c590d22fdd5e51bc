"""Of each borrower one change at a time, whoever makes it: an enrolment, or a person's new PIN.

A library system may take a borrower only whole: of two that read it and write it back, the second
would undo the first. The lease of an enrolment is that of a person; this one is of the borrower.
A write of a whole borrower whose answer was lost may be carried out later: until then the lease
stays, and only the same change may be made again, over which it changes nothing. A process that
dies learns of no answer: its lease stays as long.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple
from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotMade, ChangeUnanswered, LibraryError, StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Kept, Key, LibrarySystem, Store
from broker.core.retention.table import LEASE
from broker.use_cases.borrower_leases import LATE, borrower_lease_key, describe_change
from broker.use_cases.borrowers.library_proof import make_proof_due
from broker.use_cases.records import Lease


class LockedChanges:
    """The port ``LibrarySystem`` over ``library``, with a lease for each change of a borrower."""

    def __init__(
        self, library: LibrarySystem, store: Store, hmacs: LookupHmacs, now: Callable[[], datetime]
    ) -> None:
        self._library = library
        self._store = store
        self._hmacs = hmacs
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

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Change the borrower; CallNotMade while another change of it is under way."""
        with self._noticed(), self._alone(change.number, f"change {astuple(change)}", deadline):
            return self._library.change(change, deadline)

    @contextmanager
    def _alone(self, number: str, what: str, deadline: datetime) -> Iterator[None]:
        """Hold the lease of a borrower, for the same change until 5 s past the call's deadline."""
        key = borrower_lease_key(self._hmacs, number)
        same = self._hmacs.of("borrower-change-lost", f"{number} {what}").encode()
        token = secrets.token_hex(16)
        may_come_until = self._begin(key, token, same, deadline)
        try:
            yield
        except ChangeUnanswered:
            may_come_until = deadline + LATE
            raise
        except LibraryError:
            raise
        except BaseException:
            # Ctrl-C, or a fault of our own: the write is on its way, and nobody read its answer.
            may_come_until = deadline + LATE
            raise
        finally:
            now = self._now()
            if may_come_until is None or may_come_until <= now:
                Lease(self._store, key, token).end(now)
            else:
                until = LEASE.until(may_come_until)
                lost = Kept(describe_change(same, now), secrets.token_hex(16), until)
                # Where the store does not answer the lease ends by itself.
                with suppress(StoreUnavailable):
                    self._store.put(key, lost, token, now)

    def _begin(self, key: Key, token: str, same: bytes, deadline: datetime) -> datetime | None:
        """Take the lease; return until when a lost write of the same change may come, if any."""
        now = self._now()
        held = describe_change(same, LEASE.until(deadline))
        until = LEASE.until(deadline + LATE)
        if self._store.put(key, Kept(held, token, until), None, now):
            return None
        lost = self._store.get(key, now)
        if lost is not None and _may_be_repeated(lost.value, same, now):
            again = Kept(held, token, max(until, lost.until))
            if self._store.put(key, again, lost.version, now):
                return lost.until
        raise CallNotMade("another change of the borrower is under way")


def _may_be_repeated(held: bytes, same: bytes, now: datetime) -> bool:
    alive_until, _, what = held.partition(b" ")
    return what == same and datetime.fromisoformat(alive_until.decode()) <= now
