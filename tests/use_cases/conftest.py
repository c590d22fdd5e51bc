"""A world to enrol in: a real SQLite store, a scripted library and post, a clock that is set, hooks at each call."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import copy
from threading import Event
from typing import Any, TypeVar

import pytest

from broker.adapters.mail.mail_texts import LibraryMailTexts
from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.entities import Text
from broker.core.errors import AuditUnavailable
from broker.core.events.audit_events import AuditEvent
from broker.core.identity.person_id import compute_person_id_of_borrower, compute_person_id_of_cpr
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.enrolment.find_borrower import BorrowerFinder
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.enrolment.worker import PersonWorker
from broker.use_cases.library_system.guarded_library import BorrowerLeases
from broker.use_cases.pins.borrower_pins import BorrowerPins
from broker.use_cases.pins.known_browsers import KnownBrowsers
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox
from broker.use_cases.storage.person_records import PersonRecords
from tests.use_cases.memory_library import AASE, AASE_CPR, Library

REST = timedelta(seconds=121)  # longer than any lease, and than the first pauses
T = TypeVar("T")


class StoredAuditLog:
    """An audit log in memory; ``is_full`` refuses events."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.is_full = False

    def add(self, event: AuditEvent) -> None:
        """Keep an event."""
        if self.is_full:
            raise AuditUnavailable("full")
        self.events.append(event)


class Hooks:
    """Called before and after each call of a port, by the call's name; a hook runs once, then it is gone."""

    def __init__(self) -> None:
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self.every: Callable[[str], None] = lambda _name: None
        self.calls: list[str] = []

    def around(self, name: str, call: Callable[[], T]) -> T:
        """Do ``call`` between its hooks."""
        self.calls.append(name)
        self.before.pop(name, lambda: None)()
        answer = call()
        self.after.pop(name, lambda: None)()
        self.every(name)
        return answer


class Shelf(Library):
    """A library in memory with the hooks around each call."""

    def __init__(self, hooks: Hooks) -> None:
        super().__init__()
        self.hooks = hooks

    def _call(self, name: str, call: Callable[[], T]) -> T:
        return self.hooks.around(name, call)


class HookedStore(SqliteStore):
    """The real store, with the hook after each write."""

    def __init__(self, path: Path, hooks: Hooks) -> None:
        super().__init__(path)
        self.hooks = hooks

    def put_many(self, first: Any, *given: Any, **options: Any) -> bool:
        """Write a lease, or records, in one turn."""
        name = "lease" if first.key.kind == "lease" else "put"
        write = super().put_many
        return bool(self.hooks.around(name, lambda: write(first, *given, **options)))

    def claim(self, *given: Any) -> Any:
        """Claim."""
        return self.hooks.around("claim", lambda: super(HookedStore, self).claim(*given))


@dataclass
class World:
    """Everything an enrolment meets."""

    path: Path
    now: datetime = datetime(2026, 11, 25, 12, tzinfo=UTC)
    hooks: Hooks = field(default_factory=Hooks)
    kept_in: Any = None  # another store than SQLite's, without hooks
    library: Any = None

    def __post_init__(self) -> None:
        """Open it all."""
        self.library = self.library or Shelf(self.hooks)
        self.wake = Event()
        self.store = self.kept_in or HookedStore(self.path, self.hooks)
        clock = lambda: self.now  # noqa: E731
        hmacs = LookupHmacs("i1", b"k" * 32)
        letters = LibraryMailTexts(Text("AU Library", "AU Library"), "https://login.example/pin", "the desk")
        self.letters = letters
        self.persons = PersonRecords(self.store, hmacs)
        codes = MailedCodes(self.store, hmacs, clock)
        self.outbox = MailOutbox(self.store, hmacs, None, letters, clock)
        categories = lambda: frozenset({"STUD", "PRIV"})  # noqa: E731
        leases, browsers = BorrowerLeases(self.store, hmacs, clock), KnownBrowsers(self.persons, hmacs, clock)
        pins = BorrowerPins(self.library, leases, codes, browsers, self.outbox, categories, clock)
        self.ports = EnrolmentPorts(self.library, self.persons, hmacs, clock, pins)

    def id_of(self, cpr: str) -> str:
        """Give the person id of a CPR number."""
        return compute_person_id_of_cpr(self.ports.hmacs, cpr)

    def account_id_of(self, number: str) -> str:
        """Give the person id of the library account of a borrower."""
        return compute_person_id_of_borrower(self.ports.hmacs, number)

    @property
    def worker(self) -> PersonWorker:
        """Give a worker."""
        return PersonWorker(self.ports)

    @property
    def finder(self) -> BorrowerFinder:
        """Give what finds borrowers."""
        return BorrowerFinder(self.ports)

    @property
    def requests(self) -> EnrolmentRequests:
        """Give what stores requests."""
        return EnrolmentRequests(self.ports, self.wake, self.slept)

    def slept(self, seconds: float) -> None:
        """Let the time pass."""
        self.now += timedelta(seconds=seconds)

    def make_wanted(self, **changes: Any) -> WantedBorrower:
        """Give what a student's login asks for, changed as asked."""
        fields = (WantedField("surname", "Prøvesen", "always"), WantedField("email", "aase@example.org", "create"))
        whole = WantedBorrower(AASE_CPR, "STUD", ("PRIV",), date(2028, 11, 25), fields, "aase@example.org", person=AASE)
        return replace(whole, **changes)

    def read_enrolment(self, person_id: str) -> Enrolment | None:
        """Give a person's enrolment as it is stored."""
        return self.requests.read(person_id)

    def settle(self) -> None:
        """Carry out what is due, pause after pause, until nothing is under way."""
        for _ in range(4):
            while self.worker.step():
                pass
            self.now += REST


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of a store with nothing in it, to be copied."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    sqlite.prepare(path)
    return path


@pytest.fixture
def world(tmp_path: Path, empty_store: Path) -> Iterator[World]:
    """Give a world with an empty shelf."""
    path = tmp_path / "broker.db"
    copy(empty_store, path)
    world = World(path)
    yield world
    for connection in world.store._connections.idle:
        connection.close()
