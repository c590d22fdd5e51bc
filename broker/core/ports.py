"""The ports to the outside, as protocols: store, library system, register and mail."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import (
    ExpectedSetup,
    LibraryCapability,
    SetupFault,
    SetupTrial,
)
from broker.core.borrowers.registered_person import RegisteredPerson
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import StoreUnavailable
from broker.core.mail.mail_contents import MailContent, MailText
from broker.core.retention import RecordKind


class Key(NamedTuple):
    """The name of one record.

    ``group`` is the unit of atomicity and listing: nothing is atomic across groups.
    """

    kind: RecordKind
    group: str
    name: str = ""


def lease_key(key: Key) -> Key:
    """Return the key of the lease on the record of ``key``."""
    return Key("lease", f"{key.kind}/{key.group}", key.name)


class RecordUnreadable(StoreUnavailable):
    """A record that cannot be read: damaged, of an unknown key, or of a release that is too old.

    ``key`` is the record's key, if it is known. A caller that can make the record again drops it.
    """

    def __init__(self, what: str, key: Key | None = None) -> None:
        """Store the key, and a sentence for the log, which does not contain the record's name."""
        super().__init__(what)
        self.key = key


class NewerRelease(StoreUnavailable):
    """A newer release wrote the store or one of its records, which must not be changed or dropped.

    It is not a RecordUnreadable, because some callers skip or drop those.
    """

    def __init__(self, what: str, found: int, known: int) -> None:
        """State that ``what`` has version ``found`` and that this release reads ``known``."""
        numbers = f"{what} has version {found}, this release reads {known}"
        super().__init__(f"this store was written by a newer release: {numbers}")


class StoredRecord(NamedTuple):
    """A record as the store holds it: its bytes, the writer's random version, and its expiry.

    ``due`` is the time from which a worker may claim the record; None if it is not queued.
    """

    value: bytes
    version: str
    until: datetime
    due: datetime | None = None


class Write(NamedTuple):
    """A compare-and-set: ``record`` is written if ``expected_version`` is the stored one.

    Without ``expected_version``, it is written if there is no record.
    """

    key: Key
    record: StoredRecord
    expected_version: str | None


class Store(Protocol):
    """The store that keeps records between requests, workers and restarts.

    Times are aware UTC datetimes, and ``now`` is the caller's. Every method raises StoreUnavailable
    if the store does not answer, and every method that reads raises RecordUnreadable or
    NewerRelease for a record that cannot be opened. Source: docs/reference/design.md#4b.
    """

    def get(self, key: Key, now: datetime) -> StoredRecord | None:
        """Return the record; None if there is none or it has expired."""
        (found,) = self.get_many([key], now)
        return found

    def put(
        self,
        key: Key,
        record: StoredRecord,
        expected_version: str | None,
        now: datetime,
        *,
        durable: bool = False,
    ) -> bool:
        """Write if the stored version is ``expected_version`` (None: if there is no record).

        Return True if ``record.version`` is stored afterwards. So a put that is repeated and finds
        its own version has succeeded. ``durable`` waits until a power cut cannot undo the write.
        """
        return self.put_many(Write(key, record, expected_version), (), now, durable=durable)

    def get_many(self, keys: Sequence[Key], now: datetime) -> list[StoredRecord | None]:
        """Return the record of each key as ``get`` does, in one call of the store."""

    def put_many(
        self, first: Write, others: Sequence[Write], now: datetime, *, durable: bool = False
    ) -> bool:
        """Put ``first``; only if it is stored, put each of ``others`` too.

        Return whether ``first`` is stored. One of the others whose expected version differs is
        skipped. If the writes share no group, the process may die between the first and the others.
        Repeating the call then finds the first one stored, and writes the others.
        """

    def drop(self, key: Key) -> None:
        """Remove the record if there is one."""

    def list(
        self, kind: RecordKind, group: str | None, now: datetime
    ) -> Iterator[tuple[Key, StoredRecord]]:
        """Return the unexpired records of a group, or of the whole kind if ``group`` is None."""

    def claim(
        self, kind: RecordKind, group: str | None, token: str, until: datetime, now: datetime
    ) -> tuple[Key, StoredRecord] | None:
        """Lease the earliest record due at ``now`` that is not leased, and return it, or None.

        The record stays as it is, with its ``due`` and its version. The lease is a separate record
        under ``lease_key``, without a value, with the version ``token``, until ``until``. To renew
        it, put it again with that version. To end it, put it with an end in the past.
        """

    def count(self, key: Key, by: int, until: datetime, now: datetime) -> int:
        """Add ``by`` to the counter and return its new value.

        An expired counter starts at 0 with this ``until``. With ``by`` 0 it is read, and nothing is
        written.
        """

    def sweep(self, now: datetime) -> bool:
        """Remove some expired records, and return whether there may be more.

        A store that removes them by itself does nothing.
        """
        del now
        return False

    def purge(self) -> Sequence[str]:
        """Remove dropped and overwritten values from the files too, on every server.

        Return in sentences what is still pending, why, and how to do it.
        """
        return ()

    def faults(self) -> Sequence[str]:
        """Return in sentences what makes this store unfit for production; empty if nothing does."""

    def warnings(self) -> Sequence[str]:
        """Return in sentences what an administrator should correct in this store."""
        return ()


class LibrarySystem(Protocol):
    """A library system that keeps borrowers (docs/library-systems.md).

    Every call ends by ``deadline`` (aware UTC). LibraryUnavailable means: retry. LibraryRefused
    means: something must be corrected first. Neither ever holds a personal value.
    """

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return what this system can do as it is configured; no call is made."""

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return every borrower with this CPR number, in any field and spelling that staff use."""

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return the borrower of this number, or None.

        It may have another number, if this one was merged into it.
        """

    def find_similar(
        self, birth_date: date | None, email: str | None, deadline: datetime
    ) -> tuple[Borrower, ...]:
        """Return borrowers with this birth date or this mail address, at most 200.

        They are candidates for a possible duplicate. Borrowers with the mail address come first.
        Without ``FOUND_BY_BIRTH_DATE`` the birth date finds nobody.
        """

    def list_borrowers(self) -> Iterator[Borrower]:
        """Yield every borrower, a page at a time. Raises LibraryRefused without ``LISTED``."""

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Create the borrower with ``mark``, a card number and a database-unique field of its CPR.

        None if the system answers that such a borrower exists already: search again.
        """

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Set fields, category, expiry and mark of one borrower, and first a CPR number it lacked.

        A replacement or constructed number in the record counts as none and is replaced. A change
        that was interrupted is found by its CPR number, and is complete after it is repeated.
        Raises LibraryUnavailable if another borrower has the number now.
        """

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Set the borrower's PIN."""

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers that ``text``, as a person typed it, may mean: none, one or several.

        A CPR-shaped text is a CPR number or a card number equal to it (several if they lead to
        different borrowers). Any other text is a card number, and only if no card has it a user
        name. The returned field is compared again: case folded, zeros kept, cards in ASCII. The
        internal number is never looked up (docs/reference/design.md#4d).
        """

    def check_pin(self, borrower: Borrower, pin: str, deadline: datetime) -> bool:
        """Return whether ``pin`` is right for a borrower that was read a moment ago.

        A PIN that has expired is not. Without the capability ``PIN_CHECKED`` none is, and no call
        is made.
        """

    def check_setup(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return the faults in the set-up that would break a promise; nothing is written."""

    def try_setup(self, expected: ExpectedSetup, deadline: datetime) -> SetupTrial:
        """Make a borrower in each category, set and check a PIN, delete it; nothing is raised.

        Trial borrowers carry a reserved mark, by which the next trial deletes those that are left.
        """


class PersonRegister(Protocol):
    """A register of persons, such as the CPR register (docs/person-register.md).

    Every call ends by ``deadline`` (aware UTC). RegisterUnavailable means: retry. RegisterRefused
    means: something must be corrected first. Neither ever holds a personal value.
    """

    def look_up(self, cpr: str, deadline: datetime) -> RegisteredPerson | None:
        """Return what the register says about a CPR number; None if it does not know the number."""

    def check_setup(self, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return what in the set-up stops every look-up; nobody is looked up, nothing raised."""


class Mail(Protocol):
    """A mail server."""

    def send(self, recipient: str, subject: str, text: str, deadline: datetime) -> None:
        """Send one mail. Raises MailUnavailable unless the server accepted it.

        Raises its subclass RecipientRefused if another attempt would not help.
        """


class MailTexts(Protocol):
    """The texts of the mails, in both languages."""

    @property
    def pin_url(self) -> str:
        """Return the address of the page where a borrower makes a PIN."""

    def render(self, letter: MailContent, language: str) -> MailText:
        """Return the text of ``letter``, in Danish unless ``language`` is "en"."""
