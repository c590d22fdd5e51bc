"""Model of persons, logins and enrolments: one borrower per person, and never another person's.

Processes die before and after any call, answers are lost or come late, the desk edits records, staff decide cases.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import CaseReason, Claim, Enrolment, EnrolmentState
from broker.core.borrowers.matching import PersonFacts, can_be_claimed, count_agreeing
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotSent, LibraryRefused, LibrarySilent, LibraryUnavailable, TooMany
from broker.use_cases.enrolment.find_borrower import Finding
from tests.use_cases.enrolment.conftest import FAR, Killed, Library, World, wanted_for

T = TypeVar("T")
# Twins share surname and birth date, the namesake a name, the stranger nothing.
PEOPLE: Final = {
    "aase": (PersonFacts("Prøvesen", "Åse", date(1999, 1, 1)), "0101990000"),
    "twin": (PersonFacts("Prøvesen", "Bo", date(1999, 1, 1)), "0101990019"),
    "namesake": (PersonFacts("Prøvesen", "Åse", date(1950, 2, 2)), "0202500000"),
    "stranger": (PersonFacts("Skov", "Ida", date(1970, 5, 5)), "0505700003"),
}
NAMES = st.sampled_from(sorted(PEOPLE))
CALLS = st.sampled_from(["find", "find_similar", "create", "change", "read"])
ERRORS = st.sampled_from(
    [
        LibrarySilent("no answer"),
        LibraryUnavailable("500"),
        CallNotSent("no connection"),
        LibraryRefused("400: refused"),
        LibraryRefused("403", "a right"),
        Killed(),
    ]
)


def are_alike(one: PersonFacts, other: PersonFacts) -> bool:
    """Return whether two of three facts of two persons agree."""
    fields = {"surname": other.surname, "firstname": other.given_name}
    return count_agreeing(one, Borrower("", "", born=other.birth_date, fields=fields)) >= 2


class WatchedLibrary(Library):
    """Asserts what every write needs. ``meanwhile`` happens once, during the next call of that name."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: tuple[str, Callable[[], None]] | None = None
        self.is_overtaken = False

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Create, for the worker that has the lease."""
        assert not self.is_overtaken, "a create without the lease"
        return super().create(wanted, mark, deadline)

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Change the only borrower with its number, or one without a number that was claimed."""
        assert not self.is_overtaken, "a change without the lease"
        number = self.borrowers[change.number].cpr
        if change.cpr:
            assert number is None, "a borrower with a number was claimed"
        else:
            assert [each.cpr for each in self.borrowers.values()].count(number) == 1, "one of several was changed"
        return super().change(change, deadline)

    def _call(self, name: str, call: Callable[[], T]) -> T:
        if self.meanwhile and self.meanwhile[0] == name:
            _, happen = self.meanwhile
            self.meanwhile = None
            happen()
        return super()._call(name, call)


class EnrolmentModel(RuleBasedStateMachine):
    """``owners`` says whose each borrower is, by the desk or by the login that created it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        path = self.folder / "broker.db"
        sqlite.prepare(path)
        self.library = WatchedLibrary()
        self.world = World(SqliteStore(path), library=self.library)
        self.owners: dict[str, str] = {}
        self.desk: set[str] = set()
        self.ruled_out: dict[str, set[str]] = {name: set() for name in PEOPLE}

    def teardown(self) -> None:
        """Remove the store."""
        shutil.rmtree(self.folder)

    @initialize(names=st.sets(NAMES, max_size=2), numbered=st.booleans(), misfiled=st.booleans())
    def open_library(self, names: set[str], *, numbered: bool, misfiled: bool) -> None:
        """Let the desk have registered some persons: with their number, without, or with another person's."""
        for name in sorted(names):
            person, number = PEOPLE[name]
            # A record with the number and both names of somebody else is theirs, whatever its birth date.
            others = [each for other, (facts, each) in sorted(PEOPLE.items()) if not are_alike(person, facts)]
            written = others[0] if misfiled else number
            born = self.world.library.add(person, written if numbered or misfiled else None)
            self.owners[born.number] = name
            self.desk.add(born.number)

    @rule(name=NAMES, may_create=st.booleans())
    def log_in(self, name: str, *, may_create: bool) -> None:
        """Find the borrower, and ask for one."""
        person, number = PEOPLE[name]
        try:
            found = self.world.find(name, person, number)
        except Killed:
            return
        if found.number is not None:
            self.check_is_theirs(name, found.number)
        if found.finding is not Finding.CASE:
            self.world.requests.request(name, wanted_for(person, number, creates=may_create))

    @rule(errors=st.lists(st.tuples(ERRORS, st.booleans()), max_size=3))
    def work(self, errors: list[tuple[BaseException, bool]]) -> None:
        """Let a worker carry out what is due while calls fail or the process dies."""
        self.world.library.faults = list(errors)
        try:
            self.world.work()
        except Killed:
            pass
        finally:
            self.world.library.faults = []
        self.world.now += timedelta(minutes=1)

    @rule(call=CALLS)
    def overtake(self, call: str) -> None:
        """Let a call take so long that another worker takes over."""

        def take_over() -> None:
            self.world.now += timedelta(hours=2)
            begun = len(self.library.calls)
            self.world.work()
            self.library.is_overtaken = len(self.library.calls) > begun

        self.library.meanwhile = (call, take_over)
        self.world.worker.step()
        self.library.meanwhile, self.library.is_overtaken = None, False

    @rule(name=NAMES, call=CALLS)
    def ask_meanwhile(self, name: str, call: str) -> None:
        """Let the person ask for more while a worker carries out the enrolment: that is not lost."""
        requested: list[Enrolment] = []

        def ask() -> None:
            wanted = wanted_for(*PEOPLE[name], expires=FAR + timedelta(days=400))
            requested.append(self.world.requests.request(name, wanted))

        before = self.world.requests.read(name)
        self.library.meanwhile = (call, ask)
        self.world.worker.step()
        self.library.meanwhile = None
        if requested and (before is None or requested[0].wanted != before.wanted):
            assert self.world.requests.read(name) == requested[0], "a request was lost"

    @rule(loses=st.booleans())
    def lose_creates(self, *, loses: bool) -> None:
        """Let the library system answer creates that have no effect."""
        self.library.loses_creates = loses

    @rule(hours=st.sampled_from([0, 2, 26]))
    def wait(self, hours: int) -> None:
        """Let time pass."""
        self.world.now += timedelta(hours=hours)

    @rule()
    def come_late(self) -> None:
        """Let the library system carry out calls whose senders gave up."""
        late, self.world.library.late = self.world.library.late, []
        for call in late:
            call()

    @rule(name=NAMES)
    def try_again(self, name: str) -> None:
        """Let staff press Try again."""
        with suppress(TooMany):
            self.world.cases.try_again(name)

    @rule(name=NAMES)
    def rule_out(self, name: str) -> None:
        """Let staff say that a possible duplicate is another person's, which they say only if it is."""
        enrolment = self.world.requests.read(name)
        if enrolment and name not in {self.owners.get(each) for each in enrolment.borrowers}:
            with suppress(TooMany):
                self.world.cases.rule_out(name, enrolment.borrowers)

    @rule(name=NAMES)
    def claim(self, name: str) -> None:
        """Let a person prove that a possible duplicate is theirs, as the claim page does."""
        person, _ = PEOPLE[name]
        enrolment = self.world.requests.read(name)
        if enrolment is None or enrolment.state is not EnrolmentState.CASE:
            return
        for number in enrolment.borrowers:
            borrower = self.world.library.borrowers.get(number)
            if borrower and self.owners.get(number) == name and can_be_claimed(person, borrower):
                claimed = enrolment.claim(Claim(number), self.world.now)
                self.world.persons.change(name, lambda each: each.with_enrolment(claimed), self.world.now)  # noqa: B023
                return

    @rule(name=NAMES)
    def correct(self, name: str) -> None:
        """Let the desk correct the CPR number of a borrower that it registered."""
        for number in sorted(self.desk):
            borrower = self.world.library.borrowers[number]
            if self.owners[number] == name:
                self.world.library.borrowers[number] = replace(borrower, cpr=PEOPLE[name][1])

    @rule(name=NAMES)
    def register_again(self, name: str) -> None:
        """Let the desk register a second borrower with a person's number."""
        mine = [number for number, owner in self.owners.items() if owner == name]
        if len(mine) == 1:
            person, number = PEOPLE[name]
            self.owners[self.library.add(person, number).number] = name

    @rule(name=NAMES)
    def write_other_number(self, name: str) -> None:
        """Let the desk write a number that is nobody's into a borrower without one."""
        for number in sorted(self.desk):
            borrower = self.library.borrowers[number]
            if self.owners[number] == name and borrower.cpr is None:
                self.library.borrowers[number] = replace(borrower, cpr="3112990000")

    @invariant()
    def what_is_ruled_out_is_not_asked_again(self) -> None:
        """Ask staff about each possible duplicate once."""
        for name, ruled_out in self.ruled_out.items():
            enrolment = self.world.requests.read(name)
            if enrolment is None or enrolment.state is EnrolmentState.DONE:
                ruled_out.clear()
            elif enrolment.reason == CaseReason.POSSIBLE_DUPLICATE:
                assert not ruled_out & set(enrolment.borrowers)

    @invariant()
    def one_borrower_per_person(self) -> None:
        """No login creates a second borrower beside one that may be the person's, and no other's is written."""
        for borrower in self.world.library.borrowers.values():
            if borrower.number not in self.owners:
                (name,) = (each for each, (_, number) in PEOPLE.items() if number == borrower.cpr)
                assert name not in self.owners.values(), f"a second borrower of {name}"
                self.owners[borrower.number] = name
            owner, _ = PEOPLE[self.owners[borrower.number]]
            assert borrower.fields["surname"] == owner.surname
            assert borrower.fields["firstname"] == owner.given_name

    @invariant()
    def records_name_their_own_borrower(self) -> None:
        """No person record names another person's borrower."""
        for name in PEOPLE:
            record = self.world.persons.read(name, self.world.now)
            if record and record.value.borrower_number:
                self.check_is_theirs(name, record.value.borrower_number)

    @invariant()
    def a_finished_enrolment_keeps_no_number(self) -> None:
        """Keep the CPR number only while an enrolment is pending or a case."""
        for name in PEOPLE:
            enrolment = self.world.requests.read(name)
            if enrolment and enrolment.state is EnrolmentState.DONE:
                assert enrolment.wanted is None

    def check_is_theirs(self, name: str, number: str) -> None:
        """Assert that a borrower is this person's, by the name in it."""
        borrower: Any = self.world.library.borrowers.get(number)
        assert borrower is not None, "a borrower that is not there"
        assert self.owners.get(number, name) == name
        assert count_agreeing(PEOPLE[name][0], borrower) >= 2


EnrolmentModel.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
TestEnrolmentModel = EnrolmentModel.TestCase
