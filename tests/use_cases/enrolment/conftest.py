"""A library system in memory with late and lost answers, and an enrolment world around it on a real store."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import Enrolment
from broker.core.borrowers.library_system import ALL_CAPABILITIES, ExpectedSetup, LibraryCapability, SetupFault
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import CallNotSent, LibraryError, LibraryRefused, LibrarySilent
from broker.core.identity import cpr
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Write
from broker.use_cases.enrolment.cases import EnrolmentCases
from broker.use_cases.enrolment.find_borrower import BorrowerFinder, BorrowerSearch, FoundBorrower
from broker.use_cases.enrolment.ports import EnrolmentPorts
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.enrolment.worker import PersonWorker
from broker.use_cases.library_system.guarded_library import GuardedLibrary
from broker.use_cases.storage.person_records import PersonRecords

T = TypeVar("T")
FAR = date(2028, 11, 25)
LATER = timedelta(hours=2)  # longer than every lease and every delay


class Killed(BaseException):
    """The process died, as with ``kill -9``."""


class Library:
    """Borrowers in memory. ``faults`` are taken by the next calls, whatever they are.

    A fault is an exception, raised before the call ("not sent"), or a pair of it and "after": the call is carried
    out, and its answer lost.
    """

    def __init__(self) -> None:
        self.borrowers: dict[str, Borrower] = {}
        self.unique: dict[str, str] = {}  # unique field -> borrower number
        self.is_unique = True
        self.faults: list[tuple[BaseException, bool]] = []
        self.calls: list[str] = []
        self.late: list[Callable[[], object]] = []  # calls that are carried out later
        self.loses_creates = False
        self._numbers = count(1)
        self._lock = Lock()

    # No enrolment calls these.
    set_pin = check_pin = list_borrowers = try_setup = None

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return everything."""
        return ALL_CAPABILITIES

    def add(self, person: PersonFacts, cpr_number: str | None = None, **changes: Any) -> Borrower:
        """Register a borrower as the desk does."""
        number = str(next(self._numbers))
        fields = {"surname": person.surname, "firstname": person.given_name}
        made = Borrower(number, "STUD", FAR, born=person.birth_date, cpr=cpr_number, fields=fields, card=number)
        made = replace(made, **changes)
        if made.email:
            made = replace(made, fields={**fields, "email": made.email})
        self.borrowers[number] = made
        return made

    def find(self, cpr_number: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Find by CPR number."""
        del deadline
        return self._call("find", lambda: tuple(each for each in self.borrowers.values() if each.cpr == cpr_number))

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Read one."""
        del deadline
        return self._call("read", lambda: self.borrowers.get(number))

    def find_similar(self, birth_date: date | None, email: str | None, deadline: datetime) -> tuple[Borrower, ...]:
        """Find by birth date or mail address."""
        del deadline

        def is_similar(each: Borrower) -> bool:
            return (email is not None and each.email == email) or (birth_date is not None and each.born == birth_date)

        return self._call("find_similar", lambda: tuple(filter(is_similar, self.borrowers.values())))

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Create one, unless the unique field is taken."""
        del deadline
        return self._call("create", lambda: self._create(wanted, mark))

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Change one."""
        del deadline
        return self._call("change", lambda: self._change(change))

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Find by card number."""
        del deadline
        return self._call("typed", lambda: tuple(each for each in self.borrowers.values() if each.card == text))

    def prove(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Find no fault."""
        del expected, deadline
        return ()

    def _call(self, name: str, call: Callable[[], T]) -> T:
        self.calls.append(name)
        if not self.faults:
            return call()
        error, is_after = self.faults.pop(0)
        if is_after:
            call()
        elif isinstance(error, LibrarySilent) and not isinstance(error, CallNotSent) and name in {"create", "change"}:
            self.late.append(call)  # it was sent, and may still be carried out
        raise error

    def _create(self, wanted: WantedBorrower, mark: str) -> Borrower | None:
        with self._lock:
            key = wanted.cpr or ""
            if self.is_unique and key in self.unique:
                return None
            if self.loses_creates:
                return Borrower("999", wanted.category)
            fields = {each.name: each.value for each in wanted.fields}
            made = self.add(PersonFacts(), wanted.cpr, category=wanted.category, expires=wanted.expires, mark=mark)
            made = replace(made, fields=fields, email=fields.get("email"), born=cpr.birth_date(key))
            self.borrowers[made.number] = made
            self.unique[key] = made.number
            return made

    def _change(self, change: Change) -> Borrower:
        before = self.borrowers[change.number]
        if change.cpr and before.cpr not in {None, change.cpr}:
            raise LibraryRefused("change: the borrower carries another number")
        fields = {**before.fields, **dict(change.fields)}
        after = replace(
            before,
            category=change.category or before.category,
            expires=change.expires or before.expires,
            fields=fields,
            email=fields.get("email", before.email),
            cpr=change.cpr or before.cpr,
        )
        self.borrowers[change.number] = after
        if change.cpr:
            self.unique[change.cpr] = change.number
        return after


AASE = PersonFacts("Prøvesen", "Åse", date(1999, 1, 1))
AASE_CPR = "0101990000"


def wanted_for(person: PersonFacts, cpr_number: str, **changes: Any) -> WantedBorrower:
    """Return what a student's login asks for."""
    fields = (
        WantedField("surname", person.surname, "always"),
        WantedField("firstname", person.given_name, "always"),
        WantedField("email", f"{person.given_name}@post.example".lower(), "if_empty"),
    )
    wanted = WantedBorrower(cpr_number, "student", "STUD", ("PRIV",), FAR, fields, None, person=person)
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
        self.requests.request(person_id, wanted or wanted_for(AASE, AASE_CPR))
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


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def shared_world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Return a world on each store."""
    url = "sqlite:broker.db" if request.param == "sqlite" else request.getfixturevalue("redis_url")
    return World(open_store(url, tmp_path, accept_loss=True))
