"""Model of persons, logins and enrolments: one borrower per person, and never another person's.

Processes die before and after any call, answers are lost or come late, the desk edits records, staff decide cases.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import CaseReason, Claim, Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.matching import PersonFacts, can_be_claimed, count_agreeing
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotSent, LibraryError, LibraryRefused, LibrarySilent, LibraryUnavailable
from broker.core.identity.person_id import compute_person_id_of_cpr
from broker.use_cases.transactions.person_identification import PersonIdentification
from tests.plugins.example_counts import scale_examples
from tests.use_cases.enrolment.conftest import Killed, World, make_wanted_for
from tests.use_cases.memory_library import FAR, Library

T = TypeVar("T")
# Twins share surname and birth date, the namesake a name, the stranger nothing.
PEOPLE: Final = {
    "aase": (PersonFacts("Prøvesen", "Åse", date(1999, 1, 1)), "0101990000"),
    "twin": (PersonFacts("Prøvesen", "Bo", date(1999, 1, 1)), "0101990019"),
    "namesake": (PersonFacts("Prøvesen", "Åse", date(1950, 2, 2)), "0202500000"),
    "stranger": (PersonFacts("Skov", "Ida", date(1970, 5, 5)), "0505700003"),
}
_MOST_CALLS: Final = 80  # of the library system, while one rule of the model runs
_BLOCKED: Final = "somebody else's borrower"
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
        self.silent = 0  # calls in a row without an answer
        self.calls_before = 0  # when the present rule began
        self.creates: Counter[str] = Counter()  # by CPR number, since the last request or decision

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Create, for the worker that has the lease, where the login may create."""
        assert not self.is_overtaken, "a create without the lease"
        assert wanted.creates, "a login that may not create created"
        self.creates[wanted.cpr or ""] += 1
        assert self.creates[wanted.cpr or ""] <= 4, "creates without an effect, again and again"
        return super().create(wanted, mark, deadline)

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Change the only borrower with its number, or one without a number that was claimed."""
        assert not self.is_overtaken, "a change without the lease"
        before = self.borrowers[change.number]
        if change.cpr:
            assert before.cpr is None, "a borrower with a number was claimed"
        else:
            assert [each.cpr for each in self.borrowers.values()].count(before.cpr) == 1, "one of several was changed"
        if change.category is None and change.expires and before.expires:
            assert change.expires > before.expires, "an expiry came nearer"
        return super().change(change, deadline)

    def _call(self, name: str, call: Callable[[], T]) -> T:
        assert len(self.calls) - self.calls_before < _MOST_CALLS, "a retry storm"
        if name != "find":
            self._happen(name)
        try:
            answer = super()._call(name, call)
        except LibrarySilent:
            self.silent += 1
            raise
        except LibraryError:
            self.silent = 0
            raise
        self.silent = 0
        if name == "find":  # what was found is out of date then
            self._happen(name)
        return answer

    def _happen(self, name: str) -> None:
        if self.meanwhile and self.meanwhile[0] == name:
            _, happen = self.meanwhile
            self.meanwhile = None
            happen()


class EnrolmentModel(RuleBasedStateMachine):
    """``owners`` says whose each borrower is, by the desk or by the login that created it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        path = self.folder / "broker.db"
        sqlite.prepare(path)
        self.library = WatchedLibrary()
        self.world = World(SqliteStore(path), library=self.library, has_breaker=True)
        self.persons = PersonIdentification(self.world.ports.hmacs, self.world.finder.has_borrower)
        self.owners: dict[str, str] = {}
        self.desk: set[str] = set()
        self.mailed: set[str] = set()  # the desk's borrowers that have a mail address
        self.ruled_out: dict[str, set[str]] = {name: set() for name in PEOPLE}

    def teardown(self) -> None:
        """Remove the store."""
        shutil.rmtree(self.folder)

    @initialize(
        names=st.sets(NAMES, max_size=2),
        numbered=st.booleans(),
        misfiled=st.booleans(),
        has_mail=st.booleans(),
        has_birth_date=st.booleans(),
        is_soon_over=st.booleans(),
    )
    def open_library(
        self,
        names: set[str],
        *,
        numbered: bool,
        misfiled: bool,
        has_mail: bool,
        has_birth_date: bool,
        is_soon_over: bool,
    ) -> None:
        """Let the desk have registered some persons: with their number, without, or with another person's."""
        for name in sorted(names):
            person, number = PEOPLE[name]
            # A record with the number and both names of somebody else is theirs, whatever its birth date.
            others = [each for other, (facts, each) in sorted(PEOPLE.items()) if not are_alike(person, facts)]
            written = others[0] if misfiled else number
            changes: dict[str, Any] = {"expires": date(2027, 1, 1) if is_soon_over else FAR}
            if has_mail:
                changes["email"] = f"{person.given_name}@post.example".lower()
                changes["born"] = person.birth_date if has_birth_date else None
            born = self.library.add(person, written if numbered or misfiled else None, **changes)
            self.owners[born.number] = name
            self.desk.add(born.number)
            self.mailed |= {born.number} if has_mail else set()

    @rule(name=NAMES, may_create=st.booleans(), days=st.sampled_from([-500, 0, 400]), is_silent=st.booleans())
    def log_in(self, name: str, *, may_create: bool, days: int, is_silent: bool) -> None:
        """Find the borrower, and ask for one, by WAYF or by the national eID."""
        self.begin_rule(name)
        person, number = PEOPLE[name]
        before = self.world.persons.read(name, self.world.now)
        self.library.faults = [(LibrarySilent("no answer"), False)] if is_silent else []
        found = self.world.find(name, person, number)
        self.library.faults = []
        if found and found.number:
            self.check_is_theirs(name, found.number)
            borrower = before.value.borrower if before else None
            confirmed_at = borrower.confirmed_at if borrower else None
            if is_silent:
                assert confirmed_at, "a stored number that nobody has confirmed"
                assert self.world.now - confirmed_at < timedelta(days=1), "a stored number that is too old"
        if found is None or found.reason is None:
            wanted = make_wanted_for(person, number, creates=may_create, expires=FAR + timedelta(days=days))
            requested = self.world.requests.request(name, wanted)
            pending = before.value.enrolment.wanted if before and before.value.enrolment else None
            if pending and requested and requested.wanted:
                assert requested.wanted.creates or not pending.creates, "a right to create was lost"

    @rule(name=NAMES, other=NAMES)
    def log_in_with_other_number(self, name: str, other: str) -> None:
        """Let an institution assert another person's number: their borrower is not this person's."""
        self.begin_rule(name)
        person, number = PEOPLE[name][0], PEOPLE[other][1]
        # A record with this number and a name that agrees is this person's, as far as anybody can tell.
        found = [each for each in self.library.borrowers.values() if each.cpr == number]
        if not any(count_agreeing(person, each) >= 2 for each in found):
            shown = self.world.find(other, person, number)
            assert shown is None or shown.number is None

    @rule(name=NAMES)
    def log_in_with_library_account(self, name: str) -> None:
        """Log in with number and PIN of one's borrower: as nobody else."""
        self.begin_rule(name)
        for number in sorted(self.desk):
            if self.owners[number] != name:
                continue
            cpr_person_id = self.persons.find_cpr_person_of(self.library.borrowers[number], self.world.now)
            ids = {self.person_id(each): each for each in PEOPLE}
            holder = ids.get(cpr_person_id or "")
            if holder and self.persons.has_borrower(holder, number):
                assert holder == name, "a library account became another person"

    def person_id(self, name: str) -> str:
        """Return the id that a login with the CPR number has."""
        return compute_person_id_of_cpr(self.world.ports.hmacs, PEOPLE[name][1])

    def begin_rule(self, name: str) -> None:
        """Reset the counts of library calls, and of creates for a person who tries again."""
        self.library.calls_before = len(self.library.calls)
        self.library.creates[PEOPLE[name][1]] = 0

    @rule(errors=st.lists(st.tuples(ERRORS, st.booleans()), max_size=3))
    def work(self, errors: list[tuple[BaseException, bool]]) -> None:
        """Let a worker carry out what is due while calls fail or the process dies."""
        self.library.calls_before = len(self.library.calls)
        self.library.faults = list(errors)
        with suppress(Killed):
            self.world.work()
        self.library.faults = []
        for name, (_, number) in PEOPLE.items():
            enrolment = self.world.requests.read(name)
            if enrolment and enrolment.state is EnrolmentState.CASE and "unique" in (enrolment.last_error or ""):
                assert number not in {each.cpr for each in self.library.borrowers.values()}, "step 1 was left out"
        self.world.now += timedelta(minutes=1)

    @rule(name=NAMES)
    def lose_a_create(self, name: str) -> None:
        """Let an answer to a create come too late: it is carried out after the next attempt has looked."""
        self.log_in(name, may_create=True, days=0, is_silent=False)
        enrolment = self.world.requests.read(name)
        if enrolment is None or enrolment.state is not EnrolmentState.PENDING:
            return
        self.library.meanwhile = ("create", lambda: self.library.faults.append((LibrarySilent("no answer"), False)))
        self.work([])
        self.library.meanwhile = ("create", self.come_late)
        self.world.now += timedelta(hours=2)
        self.work([])
        self.library.meanwhile = None

    @rule(call=CALLS)
    def overtake(self, call: str) -> None:
        """Let a call take so long that another worker takes over."""

        def take_over() -> None:
            self.world.now += timedelta(hours=2)
            begun = len(self.library.calls)
            self.world.work()
            self.library.is_overtaken = len(self.library.calls) > begun

        self.library.calls_before = len(self.library.calls)
        self.library.meanwhile = (call, take_over)
        self.world.worker.step()
        self.library.meanwhile, self.library.is_overtaken = None, False

    @rule(name=NAMES, call=CALLS)
    def ask_meanwhile(self, name: str, call: str) -> None:
        """Let the person ask for more while a worker carries out the enrolment: that is not lost."""
        requested: list[Enrolment] = []

        def ask() -> None:
            wanted = make_wanted_for(*PEOPLE[name], expires=FAR + timedelta(days=400))
            made = self.world.requests.request(name, wanted)
            assert made
            requested.append(made)

        before = self.world.requests.read(name)
        self.begin_rule(name)
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
        self.begin_rule(name)
        self.world.cases.try_again(name)

    @rule(name=NAMES)
    def rule_out(self, name: str) -> None:
        """Let staff say that a possible duplicate is another person's, which they say only if it is."""
        enrolment = self.world.requests.read(name)
        if enrolment and name not in {self.owners.get(each) for each in enrolment.borrowers}:
            self.begin_rule(name)
            if self.world.cases.rule_out(name, enrolment.borrowers):
                self.ruled_out[name] |= set(enrolment.borrowers)

    @rule(name=NAMES, is_edited=st.booleans())
    def claim(self, name: str, *, is_edited: bool) -> None:
        """Let a person prove that a possible duplicate is theirs; the desk may edit it before the worker comes."""
        person, _ = PEOPLE[name]
        enrolment = self.world.requests.read(name)
        if enrolment is None or enrolment.state is not EnrolmentState.CASE:
            return
        self.begin_rule(name)
        for number in enrolment.borrowers:
            borrower = self.library.borrowers.get(number)
            if borrower and self.owners.get(number) == name and can_be_claimed(person, borrower):
                claimed = enrolment.claim(Claim(number), self.world.now)
                self.world.persons.change(name, lambda each: each.set_enrolment(claimed), self.world.now)  # noqa: B023
                if is_edited:
                    self.write_other_number(name)
                return

    @rule(name=NAMES)
    def block_number(self, name: str) -> None:
        """Let somebody else's borrower have the unique field of a person's number, or free it again."""
        number = PEOPLE[name][1]
        if self.library.unique.get(number) == _BLOCKED:
            del self.library.unique[number]
        else:
            self.library.unique.setdefault(number, _BLOCKED)

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
    def only_silence_opens_the_circuit_breaker(self) -> None:
        """Let no refusal of one person's enrolment stop the others."""
        breaker = self.world.breaker
        assert breaker
        assert not breaker.is_open or self.library.silent >= 3

    @invariant()
    def only_what_an_enrolment_created_is_new(self) -> None:
        """Say "created" of the borrower that has the enrolment's id, and of no other."""
        for name in PEOPLE:
            record = self.world.persons.read(name, self.world.now)
            enrolment = record.value.enrolment if record else None
            if record and enrolment and enrolment.outcome is EnrolmentOutcome.CREATED:
                borrower = self.library.borrowers.get(record.value.borrower_number or "")
                assert borrower is None or borrower.number not in self.desk, "the desk's borrower counts as new"

    @invariant()
    def a_first_match_is_mailed(self) -> None:
        """Tell the owner of the address in a record which person it was connected to."""
        for name in PEOPLE:
            record = self.world.persons.read(name, self.world.now)
            number = record.value.borrower_number if record else None
            if number in self.mailed:
                assert number in {each for each, _, _ in self.world.notices}

    @invariant()
    def a_fault_of_the_set_up_is_no_case(self) -> None:
        """Keep the enrolment pending where the library system lacks a right or a category."""
        for name in PEOPLE:
            enrolment = self.world.requests.read(name)
            if enrolment and enrolment.state is EnrolmentState.CASE:
                assert enrolment.last_error != "403"

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


# Sequences of rules that are drawn too rarely.
SETS_UP: Final = (LibraryRefused("403", "a right"), False)
FAILS: Final = (LibraryUnavailable("500"), False)
Step = Callable[[EnrolmentModel], object]


def open_with(name: str, **desk: bool) -> Step:
    """Return the step in which the desk has registered one person."""
    given = dict.fromkeys(("numbered", "misfiled", "has_mail", "has_birth_date", "is_soon_over"), False)
    return lambda model: model.open_library({name}, **{**given, **desk})


def come(name: str, *, may_create: bool = True, days: int = 0, is_silent: bool = False) -> Step:
    """Return a login."""
    return lambda model: model.log_in(name, may_create=may_create, days=days, is_silent=is_silent)


def work(*errors: tuple[BaseException, bool]) -> Step:
    """Return a worker's turn."""
    return lambda model: model.work(list(errors))


def wait(hours: int) -> Step:
    """Return a pause."""
    return lambda model: model.wait(hours)


SEQUENCES: Final[dict[str, tuple[Step, ...]]] = {
    "misfiled": (open_with("aase", misfiled=True), come("stranger"), work(), come("aase")),
    "library account": (
        open_with("aase", misfiled=True, has_mail=True), lambda model: model.log_in_with_library_account("aase"),
    ),
    "several": (
        open_with("aase", numbered=True, is_soon_over=True), lambda model: model.register_again("aase"),
        come("aase"), work(),
    ),
    "duplicate": (open_with("aase"), come("aase"), work(), come("aase"), work()),
    "duplicate by mail": (open_with("aase", has_mail=True), come("aase"), work()),
    "claimed": (
        open_with("aase"), come("aase"), work(), lambda model: model.claim("aase", is_edited=False), work(),
    ),
    "claimed and edited": (
        open_with("aase"), come("aase"), work(), lambda model: model.claim("aase", is_edited=True), work(),
    ),
    "ruled out": (
        open_with("aase", has_mail=True, has_birth_date=True), come("namesake"), work(),
        lambda model: model.rule_out("namesake"), work(),
    ),
    "ruled out, and another login": (
        open_with("aase", has_mail=True, has_birth_date=True), come("namesake"), work(),
        lambda model: model.rule_out("namesake"), come("namesake", days=400), work(),
    ),
    "late create": (lambda model: model.lose_a_create("aase"), wait(2), work()),
    "creates without effect": (
        lambda model: model.lose_creates(loses=True), come("aase"), *(work(), wait(2)) * 6,
    ),
    "unique field elsewhere": (lambda model: model.block_number("aase"), come("aase"), work()),
    "overtaken create": (come("aase"), lambda model: model.overtake("create")),
    "overtaken change": (
        open_with("aase", numbered=True, is_soon_over=True), come("aase", days=400),
        lambda model: model.overtake("find"),
    ),
    "found": (open_with("aase", numbered=True, has_mail=True), come("aase"), work()),
    "a shorter expiry": (open_with("aase", numbered=True), come("aase", days=-500), work()),
    "silent": (open_with("aase", numbered=True), come("aase"), wait(26), come("aase", is_silent=True)),
    "another name": (
        open_with("aase", numbered=True), come("aase"),
        lambda model: model.log_in_with_other_number("stranger", "aase"),
    ),
    "a later request": (come("aase"), come("aase", may_create=False), work()),
    "a request meanwhile": (come("aase"), lambda model: model.ask_meanwhile("aase", "find_similar"), work()),
    "set-up": (come("aase"), *(work(SETS_UP), wait(2)) * 4),
    "failures": (come("aase"), work(*[FAILS] * 100)),
}  # fmt: skip


def play(sequence: tuple[Step, ...]) -> None:
    """Play a sequence, and check every invariant after each step."""
    model = EnrolmentModel()
    try:
        for step in sequence:
            step(model)
            for each in model.invariants:
                each.function(model)
    finally:
        model.teardown()


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_directed_sequences(sequence: str) -> None:
    """Check the invariants in what is drawn too rarely."""
    play(SEQUENCES[sequence])


EnrolmentModel.TestCase.settings = settings(max_examples=scale_examples(120), stateful_step_count=25, deadline=None)
TestEnrolmentModel = EnrolmentModel.TestCase
