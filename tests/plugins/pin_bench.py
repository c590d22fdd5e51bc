"""PIN services over a real store and a library system whose calls can be lost, late or refused."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.adapters.mail.mail_texts import LibraryMailTexts
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.library_setup import ALL_CAPABILITIES
from broker.core.entities import Text
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.library_system.guarded_library import BorrowerLeases
from broker.use_cases.pins.borrower_pins import BorrowerPins
from broker.use_cases.pins.known_browsers import KnownBrowsers
from broker.use_cases.pins.library_login import LibraryLogins
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox
from broker.use_cases.storage.person_records import PersonRecords

NUMBER = "17"
ADDRESS = "ann@post.example"
HMACS = LookupHmacs("k1", b"k" * 32)


class Killed(BaseException):
    """The process died, as with ``kill -9``."""


@dataclass(slots=True)
class Library:
    """A library system; ``next_call`` is the outcome of the next call that sets a PIN.

    It is "answered", "ignored", "refused", "lost", "done" (without an answer), or "killed"; a number after it is the
    delay in seconds before the call is carried out.
    """

    borrowers: dict[str, Borrower]
    pins: dict[str, str] = field(default_factory=dict)
    capabilities: frozenset[Any] = ALL_CAPABILITIES
    next_call: str = "answered"
    late: list[tuple[datetime, str, str]] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    checks: int = 0
    meanwhile: Callable[[], object] = lambda: None  # happens during a call that sets a PIN

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return a borrower."""
        del deadline
        return self.borrowers.get(number)

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers with this CPR or card number."""
        del deadline
        if self.next_call == "down":
            raise LibraryUnavailable("down")
        return tuple(each for each in self.borrowers.values() if text in {each.cpr, each.card})

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Set a PIN with the scripted outcome."""
        del deadline
        script, self.next_call = self.next_call, "answered"
        if script == "refused":
            raise LibraryRefused("too short", "minPasswordLength")
        self.meanwhile()
        kind, _, seconds = script.partition(" ")
        if seconds:
            self.late.append((self.now() + timedelta(seconds=int(seconds)), number, pin))
        elif kind not in {"lost", "ignored"}:
            self.pins[number] = pin
        if kind == "killed":
            raise Killed
        if kind not in {"answered", "ignored"}:
            raise LibraryUnavailable("timeout")

    def check_pin(self, borrower: Borrower, pin: str, deadline: datetime) -> bool:
        """Return whether this is the PIN."""
        del deadline
        self.checks += 1
        return self.pins.get(borrower.number) == pin

    def carry_out_late(self) -> None:
        """Carry out the delayed calls that are due."""
        for moment, number, pin in tuple(self.late):
            if moment <= self.now():
                self.pins[number] = pin
                self.late.remove((moment, number, pin))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        """Start at a fixed time."""
        self.time = datetime(2026, 12, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.time


class PinBench:
    """All PIN services over one SQLite file."""

    def __init__(self, path: Path) -> None:
        """Open the store and build the services."""
        self.clock = Clock()
        self.store = SqliteStore(path)
        ann = Borrower(NUMBER, "STUD", email=ADDRESS, cpr="0101990000", card="0101990000")
        staff = Borrower("99", "STAFF", email="boss@post.example", card="S-99")
        self.library = Library({NUMBER: ann, "99": staff, "18": replace(ann, number="18", cpr=None, card="C-18")})
        self.library.now = self.clock
        self.library.pins = {NUMBER: "4071", "99": "password", "18": "8362"}
        self.codes = MailedCodes(self.store, HMACS, self.clock)
        letters = LibraryMailTexts(Text("AU Library", "AU Library"), "https://login.example/pin", "the desk")
        self.outbox = MailOutbox(self.store, HMACS, None, letters, self.clock)
        self.browsers = KnownBrowsers(PersonRecords(self.store, HMACS), HMACS, self.clock)
        library: Any = self.library
        leases = BorrowerLeases(self.store, HMACS, self.clock)
        shared = (self.codes, self.browsers, self.outbox)
        self.pins = BorrowerPins(library, leases, *shared, lambda: frozenset({"STUD"}), self.clock)
        self.logins = LibraryLogins(library, *shared, self.clock)

    def pass_time(self, **span: float) -> None:
        """Let time pass."""
        self.clock.time += timedelta(**span)
        self.library.carry_out_late()

    def due_mails(self) -> list[str]:
        """Return the texts of the mails that are due now."""
        mails = []
        for _, kept in self.store.list("mail", None, self.clock()):
            if kept.due and kept.due <= self.clock():
                mails.append(kept.value.decode("unicode_escape", "replace"))
        return mails
