"""The enrolments as the store keeps them: read, written by compare-and-set, claimed by lease, listed."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from broker.core.borrowers.borrower import Enrolment, EnrolmentState
from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store
from broker.core.serialization import dump, load

LEASE: Final = timedelta(
    seconds=120
)  # longer than the calls of any one change and its mail together
GIVE_UP_AFTER: Final = timedelta(days=30)
_GRACE: Final = timedelta(
    days=1
)  # so that a wish is given up, and listed so, before its record expires
_REMEMBERED: Final = timedelta(days=400)
_TURNS: Final = 50
_FINISHED: Final = frozenset({EnrolmentState.DONE, EnrolmentState.GIVEN_UP})


class StoredEnrolment(NamedTuple):
    """One enrolment as it stood when it was read: where, at which version, and when it is due."""

    key: Key
    enrolment: Enrolment
    version: str | None  # None: there was none
    due: datetime | None


@dataclass(frozen=True, slots=True)
class EnrolmentRecords:
    """Every write is durable and names the version it replaces (design 4b)."""

    store: Store
    now: Callable[[], datetime]

    def read(self, key: Key) -> StoredEnrolment | None:
        """Give the enrolment kept under ``key``, or None."""
        kept = self.store.get(key, self.now())
        return _entry(key, kept) if kept else None

    def write(
        self, entry: StoredEnrolment, enrolment: Enrolment, due: datetime | None
    ) -> StoredEnrolment | None:
        """Put ``enrolment`` in the place of ``entry``; None where someone else wrote first."""
        now = self.now()
        kept = Kept(dump(enrolment), secrets.token_hex(8), _until(enrolment, now), due)
        if not self.store.put(entry.key, kept, entry.version, now, durable=True):
            return None
        return StoredEnrolment(entry.key, enrolment, kept.version, due)

    def amend(
        self,
        key: Key,
        change: Callable[[StoredEnrolment], tuple[Enrolment, datetime | None] | None],
    ) -> None:
        """Write what ``change`` makes of the enrolment as it stands, however often others write; None leaves it."""
        for _ in range(_TURNS):
            entry = self.read(key)
            changed = change(entry) if entry else None
            if entry is None or changed is None or self.write(entry, *changed):
                return
        raise StoreUnavailable("an enrolment is changed by others all the time")

    def hold(self, entry: StoredEnrolment, *, creates: int = 0) -> StoredEnrolment | None:
        """Renew the lease and count the creates about to be sent; None where the enrolment is no longer ours."""
        enrolment = replace(entry.enrolment, creates=entry.enrolment.creates + creates)
        return self.write(entry, enrolment, self.now() + LEASE)

    def soon(self, entry: StoredEnrolment) -> datetime:
        """Give now, or the end of a lease on ``entry``: a worker is at it, and none must start beside it.

        Two that set PINs at once would break that the last mailed one works. A pause shorter than a
        lease is left too.
        """
        now = self.now()
        return entry.due if entry.due and now < entry.due <= now + LEASE else now

    def claim(self) -> StoredEnrolment | None:
        """Take the enrolment that has been due longest, for the time of the lease; None where none is due."""
        claimed = self.store.claim("enrolment", None, secrets.token_hex(8), LEASE, self.now())
        return _entry(*claimed) if claimed else None

    def all(self) -> Iterator[StoredEnrolment]:
        """Give every enrolment."""
        for key, kept in self.store.list("enrolment", None, self.now()):
            yield _entry(key, kept)


def _entry(key: Key, kept: Kept) -> StoredEnrolment:
    return StoredEnrolment(key, load(Enrolment, kept.value), kept.version, kept.due)


def _until(enrolment: Enrolment, now: datetime) -> datetime:
    # What still holds a CPR ends by itself a month after it was wanted, whatever else fails.
    if enrolment.state in _FINISHED:
        return now + _REMEMBERED
    return (
        enrolment.wanted_at
        + GIVE_UP_AFTER
        + (_GRACE if enrolment.state is EnrolmentState.WANTED else timedelta())
    )
