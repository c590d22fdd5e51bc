"""The enrolments as the store keeps them: read, written, claimed by lease, listed."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.ports import Key, RecordUnreadable, Store
from broker.core.retention.table import CASE, ENROLLED, OBSERVED, WISH, WISH_OF_CASE
from broker.use_cases.records import Amended, Content, Lease, Reads, Record, Records

CALL: Final = timedelta(seconds=15)
GIVE_UP_AFTER: Final = timedelta(days=30)
# Redis keeps what has ended for five minutes more; what ended before that it drops at once.
_LONG_ENDED: Final = CASE.span + timedelta(minutes=6)
# A person's requests, a worker and staff may all write one enrolment at once.
MOST_TRIES: Final = 50
_FINISHED: Final = frozenset({EnrolmentState.DONE, EnrolmentState.GIVEN_UP})


# An enrolment to be written, and when it is due.
EnrolmentDraft = tuple[Enrolment, datetime | None]


class StoredEnrolment(NamedTuple):
    """One enrolment as it stood when it was read: where, at which version, and when it is due."""

    key: Key
    enrolment: Enrolment
    version: str | None  # None: there was none
    due: datetime | None


@dataclass(frozen=True, slots=True)
class EnrolmentRecords:
    """Every write is durable and names the version it replaces (docs/reference/design.md#4b)."""

    store: Store
    now: Callable[[], datetime]

    def read(self, key: Key) -> StoredEnrolment | None:
        """Return the enrolment of ``key`` as it is stored, or None."""
        record = self._records.get(key, self.now())
        return _stored_or_none(record)

    def found(self, key: Key, reads: Reads) -> StoredEnrolment | None:
        """Return the enrolment of ``key`` as ``reads`` has it, or None."""
        return _stored_or_none(self._records.found(key, reads))

    def enrolment(self, key: Key) -> Enrolment | None:
        """Return the enrolment of ``key`` by itself, or None."""
        entry = self.read(key)
        return entry.enrolment if entry else None

    def write(
        self, entry: StoredEnrolment, enrolment: Enrolment, due: datetime | None
    ) -> StoredEnrolment | None:
        """Write ``enrolment`` in the place of ``entry``; None where another wrote first."""
        now = self.now()
        content = Content(enrolment, _until(enrolment, now), due)
        record = self._records.write(entry.key, content, entry.version, now)
        return _stored_or_none(record)

    def amend(
        self, key: Key, change: Callable[[StoredEnrolment], EnrolmentDraft | None]
    ) -> Enrolment | None:
        """Write what ``change`` makes of the enrolment as it stands, however often others write.

        Returns what was written: None where ``change`` returns None, or there is no enrolment.
        """
        amended = self.decide(key, lambda entry: change(entry) if entry else None)
        if amended.record is None or not amended.written:
            return None
        return amended.record.value

    def decide(
        self, key: Key, change: Callable[[StoredEnrolment | None], EnrolmentDraft | None]
    ) -> Amended[Enrolment]:
        """Write what ``change`` makes of the enrolment as it stands, or of there being none."""
        now = self.now()

        def changed(record: Record[Enrolment] | None) -> Content[Enrolment] | None:
            draft = change(_stored_or_none(record))
            if draft is None:
                return None
            enrolment, due = draft
            return Content(enrolment, _until(enrolment, now), due)

        return self._records.amend(key, changed, now)

    def end(self, entry: StoredEnrolment) -> bool:
        """End a record as it was read, as a drop would; False where another wrote meanwhile."""
        now = self.now()
        ended = Content(entry.enrolment, CASE.until(now - _LONG_ENDED))
        return self._records.write(entry.key, ended, entry.version, now) is not None

    def claim(self) -> tuple[StoredEnrolment, Lease] | None:
        """Lease the enrolment that has been due longest, for a first call; None if none is due."""
        now = self.now()
        claimed = self._records.claim("enrolment", now + CALL, now)
        if claimed is None:
            return None
        return _stored(claimed.record), claimed.lease

    def lease(self, key: Key) -> Lease | None:
        """Lease one enrolment for a first call; None where another has the lease."""
        now = self.now()
        return self._records.lease(key, now + CALL, now)

    def has_borrower(self, person_id: str, borrower_number: str) -> bool:
        """Return whether a person's CPR number led to this borrower, and does so still."""
        enrolment = self.enrolment(Key("enrolment", person_id))
        if enrolment is None or enrolment.state is not EnrolmentState.DONE:
            return False
        # Without a time the borrower was gone at the last look.
        return enrolment.number == borrower_number and enrolment.settled is not None

    def all(self) -> Iterator[StoredEnrolment]:
        """Return every enrolment."""
        records = self._records.list("enrolment", None, self.now())
        return map(_stored, records)

    def readable(self) -> Iterator[StoredEnrolment]:
        """Return every enrolment that reads: a newer release may have written some already."""
        for key, kept in self.store.list("enrolment", None, self.now()):
            with suppress(RecordUnreadable):
                entry = self.found(key, {key: kept})
                if entry is not None:
                    yield entry

    @property
    def _records(self) -> Records[Enrolment]:
        return Records(self.store, Enrolment, durable=True, tries=MOST_TRIES)


def _stored(record: Record[Enrolment]) -> StoredEnrolment:
    return StoredEnrolment(record.key, record.value, record.version, record.due)


def _stored_or_none(record: Record[Enrolment] | None) -> StoredEnrolment | None:
    if record is None:
        return None
    return _stored(record)


def _until(enrolment: Enrolment, now: datetime) -> datetime:
    if enrolment.state in _FINISHED:
        return ENROLLED.until(now)
    if enrolment.state is EnrolmentState.CASE and enrolment.wish is None:
        return CASE.until(now)
    # What still holds a CPR ends by itself a month after it was wanted, whatever else fails; the
    # loop gives a wish up, or drops a case's, before its record expires.
    match enrolment.state:
        case EnrolmentState.WANTED:
            return WISH.until(enrolment.wanted_at)
        case EnrolmentState.CASE:
            return WISH_OF_CASE.until(enrolment.wanted_at)
        case _:
            return OBSERVED.until(enrolment.wanted_at)
