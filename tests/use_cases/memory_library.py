"""A library system in memory with late and lost answers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from itertools import count
from threading import Lock
from typing import Any, TypeVar

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import ALL_CAPABILITIES, ExpectedSetup, LibraryCapability, SetupFault
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotSent, LibraryRefused, LibrarySilent
from broker.core.identity import cpr

T = TypeVar("T")
FAR = date(2028, 11, 25)
AASE = PersonFacts("Prøvesen", "Åse", date(1999, 1, 1))
AASE_CPR = "0101990000"


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

    # No test calls these.
    set_pin: Any = None
    check_pin: Any = None
    list_borrowers: Any = None
    try_setup: Any = None

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
        self.borrowers[made.number] = made
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

    def check_setup(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
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
            card=before.card or change.cpr or before.cpr,
        )
        self.borrowers[change.number] = after
        if change.cpr:
            self.unique[change.cpr] = change.number
        return after
