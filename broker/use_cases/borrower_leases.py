"""The lease that every change of a borrower takes, so that one change is sent at a time."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Kept, Key, Store
from broker.core.retention.table import LEASE
from broker.use_cases.records import Lease

# No library system carries out a call later than this after it was sent.
LATE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class BorrowerLeases:
    """Leases of borrowers: while one is held, no other change is sent."""

    store: Store
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def hold(self, borrower_number: str, until: datetime) -> Lease | None:
        """Take the lease of a borrower until then; None if another change may be under way."""
        key = borrower_lease_key(self.hmacs, borrower_number)
        token = secrets.token_hex(16)
        held = Kept(b"", token, LEASE.until(until))
        is_free = self.store.put(key, held, None, self.now())
        return Lease(self.store, key, token) if is_free else None

    def release(self, lease: Lease) -> None:
        """End a lease early: the call was refused, or answered and verified."""
        lease.end(self.now())


def borrower_lease_key(hmacs: LookupHmacs, borrower_number: str) -> Key:
    """Return the key of the lease that every change of a borrower takes."""
    return Key("lease", hmacs.of("borrower-change", borrower_number))
