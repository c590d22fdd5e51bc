"""One PIN of a borrower is set and mailed at a time."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from broker.core.errors import LibraryUnavailable, StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Kept, Key, Store


@contextmanager
def pin_lease(
    store: Store,
    hmacs: LookupHmacs,
    number: str,
    ends: datetime,
    now: datetime,
) -> Iterator[None]:
    """Be the only one that sets a PIN of this borrower, until ``ends`` at most.

    LibraryUnavailable where another is. Of two that set and mail one at once, the mail that comes
    last may hold the PIN that was set first (docs/reference/design.md#pin-order).
    """
    place = Key("pin", hmacs.of("pin-turn", number), "turn")
    token = secrets.token_hex(8)
    if not store.put(place, Kept(b"", token, ends), None, now):
        raise LibraryUnavailable("another PIN of this borrower is being made")
    try:
        yield
    finally:
        # A lease that cannot be dropped ends by itself: the mail that is out must not be sent
        # again for that.
        with suppress(StoreUnavailable):
            kept = store.get(place, now)
            if kept and kept.version == token:
                store.drop(place)
