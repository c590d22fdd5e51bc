"""Measures what ``broker work`` does with many enrolments, in this process.

Store, trail, loops and pace are the real ones; the library system answers in this process, so that its own processor
time is not measured, and takes so long a call as it is told to.
"""

import itertools
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from bench.brokers import free_ports
from bench.figures import Figure, Row, part, row
from broker.app.assembly import Parts, assemble
from broker.app.background_work import Loops
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_system import (
    ALL_CAPABILITIES,
    ExpectedSetup,
    LibraryCapability,
    SetupFault,
    SetupTrial,
)
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.pins import PinAnswer
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import LibraryUnavailable
from broker.demo.run import demo_folder
from broker.files.settings import config
from broker.use_cases.enrolment.find_borrower import BorrowerFinder
from broker.use_cases.enrolment.worker import PersonWorker

_ENROLMENTS: Final = int(os.environ.get("BENCH_ENROLMENTS", "500"))
_CALL: Final = 0.2
_KNOWN: Final = 200
_EXPIRES: Final = date(2028, 11, 25)
_PERSON: Final = PersonFacts("Prøve", "Åse")


@dataclass
class Library:
    """A library system in this process: ``call`` seconds for each call, silent while ``down``."""

    call: float = 0.0
    down: bool = False
    borrowers: dict[str, Borrower] = field(default_factory=dict)
    of_cpr: dict[str, str] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    created: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return that it can do all."""
        return ALL_CAPABILITIES

    def answer(self, name: str) -> None:
        """Take the time of a call."""
        with self.lock:
            self.calls[name] += 1
        time.sleep(self.call)
        if self.down:
            raise LibraryUnavailable("down")

    def add(self, borrower: Borrower) -> Borrower:
        """Keep a borrower."""
        self.borrowers[borrower.number] = borrower
        self.of_cpr[borrower.cpr or ""] = borrower.number
        return borrower

    def find(self, cpr: str, _: datetime) -> tuple[Borrower, ...]:
        """Return the borrower of a CPR number."""
        self.answer("find")
        number = self.of_cpr.get(cpr)
        return (self.borrowers[number],) if number else ()

    def read(self, number: str, _: datetime) -> Borrower | None:
        """Return a borrower."""
        self.answer("read")
        return self.borrowers.get(number)

    def find_similar(self, birth_date: date | None, email: str | None, _: datetime) -> tuple[Borrower, ...]:
        """Return nobody: there are no possible duplicates here."""
        self.answer("find_similar")
        del birth_date, email
        return ()

    def list_borrowers(self) -> Iterator[Borrower]:
        """Yield everybody."""
        return iter(tuple(self.borrowers.values()))

    def find_typed(self, _text: str, _: datetime) -> tuple[Borrower, ...]:
        """Return nobody: nobody types here."""
        return ()

    def create(self, wanted: WantedBorrower, mark: str, _: datetime) -> Borrower | None:
        """Make a borrower."""
        self.answer("create")
        with self.lock:
            self.created.append(wanted.cpr or "")
            number = str(len(self.created) + 1_000_000)
        fields = {each.name: each.value for each in wanted.fields}
        return self.add(
            Borrower(number, wanted.category, wanted.expires, mark, fields=fields, cpr=wanted.cpr, card=wanted.cpr)
        )

    def change(self, change: Change, _: datetime) -> Borrower:
        """Change a borrower; one of ours gets a card number."""
        self.answer("change")
        before = self.borrowers[change.number]
        return self.add(
            replace(
                before,
                category=change.category or before.category,
                expires=change.expires or before.expires,
                card=before.card or before.cpr,
            )
        )

    def set_pin(self, number: str, pin: str, _: datetime) -> None:
        """Set a PIN."""
        self.answer("set_pin")
        self.pins[number] = pin

    def check_pin(self, borrower: Borrower, pin: str, _: datetime) -> PinAnswer:
        """Return whether it is the PIN."""
        self.answer("check_pin")
        return PinAnswer.RIGHT if self.pins.get(borrower.number) == pin else PinAnswer.WRONG

    def try_setup(self, _expected: ExpectedSetup, _: datetime) -> SetupTrial:
        """Try nothing."""
        return SetupTrial((), ())

    def prove(self, _expected: ExpectedSetup, _: datetime) -> tuple[SetupFault, ...]:
        """Find no fault."""
        return ()


@contextmanager
def _parts(library: Library) -> Iterator[Parts]:
    """Open the parts of a demo's broker over this library system, on the disk."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = demo_folder.write(Path(folder) / "demo", free_ports(), datetime.now(UTC))
        parts = assemble(config.load(setting.config, {}))
        ports = replace(parts.enrolment_ports, library=library)
        worker = PersonWorker(ports)
        yield replace(parts, library=library, enrolment_ports=ports, person_worker=worker)


def _resident() -> float:
    """Return the megabytes that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _wanted(cpr: str) -> WantedBorrower:
    values = {"surname": _PERSON.surname, "firstname": _PERSON.given_name, "email": "p@example.org"}
    fields = tuple(WantedField(name, value, "create") for name, value in values.items())
    return WantedBorrower(cpr, "student", "STUDENT", (), _EXPIRES, fields, None, person=_PERSON)


@dataclass
class KnownLogins:
    """Looks at known borrowers as their logins make them, one after the other; the seconds of each."""

    parts: Parts
    requests: Sequence[WantedBorrower]
    times: list[float] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until told to end; the library system is asked each time."""
        finder = BorrowerFinder(replace(self.parts.enrolment_ports, trust_for=timedelta(0)))
        for wanted in itertools.cycle(self.requests):
            if self.ended.is_set():
                return
            began = time.perf_counter()
            finder.find_borrower(wanted.cpr or "", wanted.cpr or "", wanted.person, None, wanted)
            self.times.append(time.perf_counter() - began)
            self.ended.wait(0.1)

    @contextmanager
    def beside(self) -> Iterator[list[float]]:
        """Look while the block runs."""
        self.times = []
        self.ended.clear()
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield self.times
        finally:
            self.ended.set()
            thread.join()


def drained() -> Iterator[Row]:
    """Store enrolments, and measure how the worker carries them out."""
    library = Library()
    with _parts(library) as parts:
        of_known = [_wanted(f"{9_000_000_000 + number}") for number in range(_KNOWN)]
        known = KnownLogins(parts, of_known)
        for number, wanted in enumerate(of_known):
            fields = {each.name: each.value for each in wanted.fields}
            library.add(Borrower(f"{number}", "STUDENT", _EXPIRES, fields=fields, cpr=wanted.cpr, card="1"))
        for number in range(_ENROLMENTS):
            parts.enrolments.request(f"{number:010}", _wanted(f"{number:010}"))
        library.call = _CALL
        with known.beside() as before:
            time.sleep(15)
        spent, held, began = time.process_time(), [_resident()], time.perf_counter()
        loops = Loops(parts)
        loops.start()
        with known.beside() as during:
            while len(library.created) < _ENROLMENTS:
                time.sleep(1)
                held.append(_resident())
        seconds = time.perf_counter() - began
        loops.end()
        late = max(abs(place - int(cpr)) for place, cpr in enumerate(library.created))
    settled = held[min(30, len(held) - 1)]
    yield row(
        f"{_ENROLMENTS:,} enrolments, {_CALL * 1000:.0f} ms a call",
        Figure("a second", _ENROLMENTS / seconds),
        Figure("calls each", library.calls.total() / _ENROLMENTS),
        Figure("ms CPU each", (time.process_time() - spent) * 1000 / _ENROLMENTS),
        Figure("MB grown after 30 s", max(held) - settled, most=10),
        Figure("places out of order at most", late),
    )
    yield known_meanwhile(before, during)


def known_meanwhile(before: Sequence[float], during: Sequence[float]) -> Row:
    """Return how long logins of known borrowers waited for their answer."""
    return row(
        "logins of known borrowers meanwhile, each asked for",
        Figure("ms p50 before", part(before, 0.5) * 1000),
        Figure("ms p99 before", part(before, 0.99) * 1000),
        Figure("ms p50 during", part(during, 0.5) * 1000),
        Figure("ms p99 during", part(during, 0.99) * 1000),
    )
