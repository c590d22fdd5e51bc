"""A library system in memory with late and lost answers, and an enrolment world around it on a real store."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import LibraryError
from broker.core.login.found_account import FoundBorrower
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Write
from broker.use_cases.enrolment.cases import EnrolmentCases
from broker.use_cases.enrolment.find_borrower import BorrowerFinder, BorrowerSearch
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.enrolment.worker import PersonWorker
from broker.use_cases.library_system.guarded_library import GuardedLibrary
from broker.use_cases.storage.person_records import PersonRecords
from tests.use_cases.memory_library import AASE, AASE_CPR, FAR, Library

LATER = timedelta(hours=2)  # longer than every lease and every delay


class Killed(BaseException):
    """The process died, as with ``kill -9``."""


def make_wanted_for(person: PersonFacts, cpr_number: str, **changes: Any) -> WantedBorrower:
    """Return what a student's login asks for."""
    fields = (
        WantedField("surname", person.surname, "always"),
        WantedField("firstname", person.given_name, "always"),
        WantedField("email", f"{person.given_name}@post.example".lower(), "if_empty"),
    )
    wanted = WantedBorrower(cpr_number, "STUD", ("PRIV",), FAR, fields, None, person=person)
    return replace(wanted, **changes)


@dataclass
class World:
    """Library system, store, clock, and the use cases over them."""

    store: Any
    now: datetime = datetime(2026, 11, 25, 12, tzinfo=UTC)
    library: Library = field(default_factory=Library)
    has_breaker: bool = False
    breaker: GuardedLibrary | None = None

    def __post_init__(self) -> None:
        """Build the use cases."""
        hmacs = LookupHmacs("i1", b"k" * 32)
        persons = PersonRecords(self.store, hmacs)
        library: Any = self.library  # no enrolment sets or checks a PIN
        if self.has_breaker:
            library = self.breaker = GuardedLibrary(library, self.store, hmacs, lambda: self.now)
        self.notices: list[tuple[str, str, str]] = []  # drafted notices of a first match
        pins: Any = SimpleNamespace(
            draft_match_notice=self._draft_notice,
            draft_welcome_mail=lambda *_: (),
            outbox=SimpleNamespace(wake_worker=lambda: None),
        )
        self.ports = EnrolmentPorts(library, persons, hmacs, lambda: self.now, pins)
        self.persons = persons
        wake = Event()
        self.requests = EnrolmentRequests(self.ports, wake, self.sleep)
        self.worker = PersonWorker(self.ports)
        self.finder = BorrowerFinder(self.ports)
        self.cases = EnrolmentCases(self.ports, wake)

    def _draft_notice(self, number: str, address: str, language: str) -> tuple[Write, ...]:
        self.notices.append((number, address, language))
        return ()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def find(self, person_id: str, person: PersonFacts, cpr_number: str) -> FoundBorrower | None:
        """Find a person's borrower, as a login does."""
        record = self.persons.read(person_id, self.now)
        return self.finder.find_borrower(BorrowerSearch(person_id, cpr_number, person, record))

    def enrol(self, wanted: WantedBorrower | None = None, person_id: str = "aase") -> Enrolment:
        """Request a borrower, carry out what is due, and return the enrolment."""
        self.requests.request(person_id, wanted or make_wanted_for(AASE, AASE_CPR))
        self.work()
        return self.enrolment(person_id)

    def work(self) -> None:
        """Carry out what is due now."""
        while self.worker.step():
            pass

    def settle(self, rounds: int = 6) -> None:
        """Let time pass and carry out what becomes due."""
        for _ in range(rounds):
            self.work()
            self.now += LATER

    def enrolment(self, person_id: str = "aase") -> Enrolment:
        """Return a stored enrolment."""
        enrolment = self.requests.read(person_id)
        assert enrolment is not None
        return enrolment

    def fail_next(self, error: LibraryError, *, after: bool = False) -> None:
        """Let the next call of the library system fail, before it or after it was carried out."""
        self.library.faults.append((error, after))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world on SQLite."""
    return World(open_store("sqlite:broker.db", tmp_path))
