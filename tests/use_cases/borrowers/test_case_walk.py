"""Who is whom, whatever comes together: one whose number changes twice, a stranger, a register, staff, and deaths.

Two operations run at once, each in a thread that stops before every write to the store and every change of a borrower;
one of them may die there, or find the store silent, and what it had in memory is gone. Numbers come with names of
before, with other names and with none; the register tells a change, keeps the new number to itself, errs, and says that
somebody is dead; staff decide by what they saw a while ago. The laws hold after every step, not only at the end.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.owed_look_up import LookUpOutcome, OwedLookUp
from broker.core.borrowers.registered_person import RegisteredPerson, Residence
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.ports import Kept, Key
from broker.use_cases.borrowers.enrolment_records import REGISTER_CASE, StoredEnrolment
from broker.use_cases.borrowers.known_borrower import Who
from broker.use_cases.borrowers.register_look_ups import RegisterLookUps
from broker.use_cases.identity.person_resolution import PersonNames
from broker.use_cases.records import Records
from tests.plugins.drawn import at_gate, drawn
from tests.plugins.dying_store import DyingStore
from tests.plugins.taken_turns import Worker, befallen, present_worker
from tests.use_cases.borrowers.conftest import Logins
from tests.use_cases.borrowers.test_look_up import CHANGED, PERSON, RULE, Desk, Register
from tests.use_cases.conftest import AASE, Shelf, World

# Somebody's number, the one that took its place, and the one that took that one's.
OWN: Final = ("0101990000", "0202990000", "0303990000")
STRANGER: Final = "0404990000"
EVERY: Final = (*OWN, STRANGER)
NAMES: Final = ("aase", "aase.b", None)
CHANGED_NUMBER: Final = LookUpOutcome.NUMBER_CHANGED.value
DEAD: Final = replace(PERSON, residence=Residence.DEAD, address=None)
OF_STAFF: Final = (EnrolmentState.CASE, EnrolmentState.NOTICE)
FATES: Final = ("dies before", "dies after", "silent", "late")
HOURS: Final = timedelta(hours=2)
DAY: Final = timedelta(days=1)  # until the register is asked again
MONTH: Final = timedelta(days=32)  # until a number that was kept for staff to confirm is kept no more
MOST_DOWN: Final = timedelta(days=4)  # nothing works for so long
YEAR: Final = timedelta(days=300)  # a course ends before names and records do

# What the register says next: of its last number, of all before it, and ("gone on") of all what it says of the last.
HEARD: Final = ("told", "told", "told of the last", "untold", "untold", "untold of the last", "gone on")
ODD: Final = ("unclear", "clear", "dead", "errs", "of the stranger")

CARELESS: Final = 2  # who stands at this place
places = st.integers(0, 7)
answers = st.none() | st.sampled_from(HEARD) | st.sampled_from(HEARD) | st.sampled_from(ODD)
logins = st.tuples(st.just("login"), places, st.sampled_from(NAMES))
looks = st.tuples(st.just("look"), places, st.sampled_from(NAMES), answers, st.sampled_from([DAY, MONTH]))
decisions = st.tuples(
    st.just("decide"), st.sampled_from(["retry", "retry", "confirm", "end"]), places, st.sampled_from(["now", "later"])
)
works = st.sampled_from([("work",), ("work",), ("recover",)])
operations = st.one_of(looks, looks, logins, logins, decisions, works)
deaths = st.tuples(st.integers(0, 1), st.integers(0, 8), st.sampled_from(FATES))


# What is to be done, and the id by which staff decide.
T = TypeVar("T")
Work = tuple[Callable[[], Any], str | None]


class DyingShelf(Shelf):
    """A library whose changes are turns too; it gives each borrower a number of its own."""

    made = 0

    def _create(self, wish: Wish, mark: str) -> Borrower | None:
        return turned("create", lambda: self._made(wish, mark))

    def _change(self, change: Change) -> Borrower:
        changed = super()._change
        return turned("change", lambda: changed(change))

    def _made(self, wish: Wish, mark: str) -> Borrower | None:
        if wish.cpr in self.cprs.values():
            return None
        self.made += 1
        fields = {each.name: each.value for each in wish.fields}
        number = str(self.made)
        made = Borrower(number, wish.category, wish.expires, mark, fields=fields, card=wish.cpr, cpr=wish.cpr)
        return self.add(wish.cpr or "", made)


def turned(turn: str, effect: Callable[[], T]) -> T:
    """Do something in the turn of the worker that does it."""
    worker = present_worker()
    if worker is None:
        return effect()
    done: T = befallen(worker, turn, effect)
    return done


class Answers(Register):
    """A register that says something else of each number."""

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, RegisteredPerson | None] = {}

    def look_up(self, cpr: str, deadline: Any) -> RegisteredPerson | None:
        """Answer."""
        del deadline
        return self.says.get(cpr, PERSON)


def told(case: StoredEnrolment) -> tuple[object, ...]:
    """Give what staff read of a case, and decide by."""
    said = case.enrolment
    return (case.key, said.reason, said.number_now, said.borrowers)


class Cases(RuleBasedStateMachine):
    """One person and a stranger, and what may come of what is said of their numbers."""

    @initialize(first=st.sampled_from(HEARD), second=answers)
    def open(self, first: str, second: str | None) -> None:
        """Begin with somebody who has an account by their first number, and a name; the register has said something."""
        self.store = DyingStore(watch=self._written)
        self.world = World(Path("unused"), kept_in=self.store)
        self.library = self.world.library = DyingShelf(self.world.hooks)
        self.world.ports = replace(self.world.ports, library=self.library)
        self.register = Answers()
        self.desk = Desk(self.world, register=self.register)
        self.world.ports = replace(self.world.ports, refresh_after=DAY)
        self.world.live = self.world.enrolments("live")
        self.loop = self.desk.another_loop()
        self.ends = self.world.now + YEAR
        self.links = self.world.links
        self.number_of = {self.links.of_cpr(cpr): cpr for cpr in EVERY}
        self.truth = OWN[0]
        self.came = {OWN[0], STRANGER}  # the numbers that the broker can know of
        self.seen: list[StoredEnrolment] = []
        self.says: dict[str, tuple[object, ...]] = {}
        self.deciding: list[tuple[Worker, str | None]] = []
        self.decided: dict[str | None, Key] = {}
        self.half_decided: set[Key] = set()
        self.died = self.has_died = False
        self._logs_in(OWN[0], "aase")
        self._recovers()
        for answer, name in ((first, "aase.b"), (second, None)):
            self._look(0, name, answer, MONTH)()

    @rule(
        operations=st.lists(operations, min_size=1, max_size=2),
        order=st.lists(st.integers(0, 1), min_size=8, max_size=24),
        death=st.none() | st.none() | deaths,
    )
    def together(self, operations: list[tuple[Any, ...]], order: list[int], death: tuple[int, int, str] | None) -> None:
        """Let one thing be done, or two at once, and one of them die."""
        works = [work for each in operations if (work := self._work(each))]
        self.deciding = [(Worker(work), seen) for work, seen in works]
        workers = [worker for worker, _ in self.deciding]
        turns = [-1] * len(workers)
        picks = iter(order)
        while going := [place for place, each in enumerate(workers) if not each.over]:
            pick = next(picks, going[0])
            place = pick if pick in going else going[0]
            fate = death[2] if death and death[:2] == (place, turns[place]) else "goes"
            turns[place] += 1
            workers[place].goes(fate)
        for worker in workers:
            if worker.error:
                raise worker.error
        # Of a decision that was carried out, or came too late, everything holds.
        hurt = {seen for worker, seen in self.deciding if worker.hurt}
        self.half_decided |= {self.decided[seen] for seen in hurt if seen in self.decided}
        self.half_decided &= {case.key for case in self._register_cases()}
        if any(worker.hurt for worker in workers):
            self.died = self.has_died = True
            self.loop = self.desk.another_loop()

    @invariant()
    def nobody_has_two_accounts(self) -> None:
        """Nor does a stranger's number stand on somebody else's."""
        own = [number for number, cpr in self.library.cprs.items() if cpr in OWN]
        assert len(own) <= 1, own
        assert set(self.library.cprs.values()) <= {*OWN, STRANGER}

    @invariant()
    def whom_a_case_names_is_barred(self) -> None:
        """Unless the look-up that lists it is about to bar them, or staff have half decided it."""
        owed = {each.key.group for each in Records(self.store, OwedLookUp).list("register", None, self.world.now)}
        for case in self._register_cases():
            for number in self._barred_by(case):
                is_guess = number in case.enrolment.guessed
                is_under_way = case.key in self.half_decided or (self.died and case.key.group in owed and not is_guess)
                assert self._bar(number) or is_under_way, (self.number_of[number], told(case))

    @invariant()
    def whom_no_case_names_is_let_in(self) -> None:
        """After a death a notice may name them, which staff end: nobody is kept out by what nobody sees."""
        if self.died:
            return
        named = {number for case in self._register_cases() for number in case.enrolment.held_back}
        for notice in self.world.records.all():
            if self.has_died and notice.enrolment.state is EnrolmentState.NOTICE:
                named |= {notice.enrolment.person, *notice.enrolment.guessed}
        for number in self.number_of:
            assert self._bar(number) != CHANGED_NUMBER or number in named, self.number_of[number]

    @invariant()
    def an_id_says_one_thing(self) -> None:
        """Read by staff, and decided by: never two things."""
        for case in self._register_cases():
            assert self.says.setdefault(case.enrolment.id, told(case)) == told(case)

    def _work(self, operation: tuple[Any, ...]) -> Work | None:
        """Give what two may do at once; what only happens is done by now."""
        match operation:
            case ("recover",):
                self._recovers()
            case ("login", place, name):
                return self._login(place, name), None
            case ("look", place, name, answer, after):
                return self._look(place, name, answer, after), None
            case ("work",):
                return self.world.live.step, None
            case ("decide", decision, place, when):
                return self._decision(decision, place, is_late=when == "later")
        return None

    def _look(self, place: int, name: str | None, answer: str | None, after: timedelta) -> Callable[[], Any]:
        """Give a look-up that is due, or the next one of somebody who comes again once it is time."""
        now = self.world.now
        owed = [kept for _, kept in self.store.list("register", None, now) if kept.due and kept.due <= now]
        if not owed:
            self._register_hears(answer)
            self._time_passes(after)
            self._login(place, name)()
        self.world.now += HOURS
        return self.loop.step

    def _time_passes(self, time: timedelta) -> None:
        until = self.world.now + time
        while self.world.now < min(until, self.ends):
            self.world.now += min(time, MOST_DOWN)
            while self.world.live.step():
                pass

    def _register_hears(self, answer: str | None) -> None:
        """Let the register say something else, at the next look-up."""
        says = self.register.says
        had = OWN[: OWN.index(self.truth)]
        match answer:
            case "told" | "untold" | "told of the last" | "untold of the last":
                self._number_changes(is_told=answer.startswith("told"), of_all=not answer.endswith("last"))
            case "gone on":
                says.update(dict.fromkeys(had, replace(CHANGED, current_number=self.truth)))
            case "unclear":
                says[self.truth] = None
            case "clear":
                says.pop(self.truth, None)
            case "dead":
                says[self.truth] = DEAD
            case "errs" | "of the stranger":
                # Of the first number that is no error once there is another.
                says[OWN[0] if answer == "errs" else STRANGER] = CHANGED

    def _number_changes(self, *, is_told: bool, of_all: bool) -> None:
        had = OWN[: OWN.index(self.truth) + 1]
        if had == OWN:
            return
        self.truth = OWN[len(had)]
        said = replace(CHANGED, current_number=self.truth if is_told else None)
        self.register.says.update(dict.fromkeys(had if of_all else had[-1:], said))

    def _login(self, place: int, name: str | None) -> Callable[[], Any]:
        """Give a login by a number that the broker can know of, else nothing keeps its person from a second account.

        It can by a case, or where it is the first to come with a name since the register has told no number.
        """
        self.came |= {self.number_of[number] for case in self._register_cases() for number in case.enrolment.held_back}
        untold = {case.key.group for case in self._register_cases() if self._is_untold(case)}
        first = self.links.cpr(self._name("aase")) in untold
        if first and self.truth not in self.came and place % 2:
            return lambda: self._logs_in(self.truth, "aase")
        numbers = [*sorted(self.came - {STRANGER}), *sorted(self.came)]
        cpr = numbers[place % len(numbers)]
        return lambda: self._logs_in(cpr, name)

    @staticmethod
    def _is_untold(case: StoredEnrolment) -> bool:
        return case.enrolment.reason == CHANGED_NUMBER and case.enrolment.number_now is None

    def _logs_in(self, cpr: str, name: str | None) -> None:
        """Come by a number and a name: with the account that is there, or a wish for one."""
        names = PersonNames(cpr=self.links.of_cpr(cpr), own=self._name(name) if name else None)
        person = Logins(self.world).persons().person(names)
        if person.case:
            return
        wish = self.world.wish(register=RULE, cpr=cpr, fields=())
        known = self.world.live.question.who(cpr, AASE, wish, to_be=True)
        if known.number and known.number in self.library.cprs:
            assert (self.library.cprs[known.number] in OWN) == (cpr in OWN)
        if known.who is Who.ONE and known.enrolment:
            RegisterLookUps(self.world.ports).owe(cpr, RULE, known.enrolment)
        else:
            self.world.live.want(wish)

    def _name(self, name: str) -> str:
        return self.links.of_name("eppn au", f"{name}@au.dk")

    def _decision(self, decision: str, place: int, *, is_late: bool) -> Work | None:
        """Give a decision of what staff see, or saw a while ago; most write what they must before a ``retry``."""
        if not is_late or not self.seen:
            self.seen = [each for each in self.world.records.all() if each.enrolment.state in OF_STAFF]
        if not self.seen:
            return None
        seen = self.seen[place % len(self.seen)]
        is_listed = self.desk.cases.find(seen.enrolment.id) is not None
        is_changed = seen.key.name == REGISTER_CASE and seen.enrolment.is_of_changed_number
        is_said = seen.enrolment.reason == CHANGED_NUMBER
        if is_said and decision == "end" and self.truth != OWN[0]:
            decision = "retry"  # the old number is not theirs
        # Of a number that nobody has come with they alone can know.
        is_forgotten = place == CARELESS and self.truth in self.came
        # Of the stranger's number the register has erred: there is nothing to write.
        is_own = self.number_of[seen.enrolment.person] in OWN
        if is_listed and is_changed and is_own and decision == "retry" and not is_forgotten:
            self._staff_write()
        cases, case = self.desk.cases, seen.enrolment
        if decision == "confirm":
            number = case.borrowers[0] if case.borrowers else ""
            return (lambda: cases.confirm(case.id, number)), case.id
        self.decided[case.id] = seen.key
        return (lambda: getattr(cases, decision)(case.id)), case.id

    def _staff_write(self) -> None:
        """Give somebody's borrower the number that they show to staff, and merge any other into it."""
        own = [number for number, cpr in self.library.cprs.items() if cpr in OWN]
        for number in own[1:]:
            del self.library.borrowers[number], self.library.cprs[number]
        for number in own[:1]:
            self.library.borrowers[number] = replace(self.library.borrowers[number], cpr=self.truth)
            self.library.cprs[number] = self.truth

    def _recovers(self) -> None:
        for _ in range(4):
            self.world.now += timedelta(hours=3)
            self.loop = self.desk.another_loop()
            while self.loop.step() or self.world.live.step():
                pass
        self.died = False

    def _register_cases(self) -> list[StoredEnrolment]:
        return [each for each in self.world.records.all() if each.key.name == REGISTER_CASE]

    @staticmethod
    def _barred_by(case: StoredEnrolment) -> tuple[str, ...]:
        """Give the numbers that a case bars: of two borrowers each is come to by its number."""
        said = case.enrolment
        if len(said.borrowers) > 1:
            return (*said.told_before, *said.guessed)
        return said.held_back

    def _bar(self, number: str) -> str | None:
        holder = self.links.holder_of(number)
        return holder.barred if holder else None

    def _written(self, key: Key, before: Kept | None, after: Kept) -> None:
        """Hold that staff end a case by the id that it has when it ends."""
        if key.name != REGISTER_CASE or before is None or after.until > self.world.now:
            return
        ended = self.world.records.found(key, {key: before})
        assert ended
        self.ended(ended)

    def ended(self, case: StoredEnrolment) -> None:
        """Hold that what is ended is what staff saw, or has been carried out as they confirmed it."""
        for worker, seen in self.deciding:
            if worker is present_worker():
                assert seen in {None, case.enrolment.id}


@pytest.mark.parametrize(
    "courses", [40, pytest.param(at_gate(400, otherwise=1500), marks=pytest.mark.slow(seconds=60))]
)
def test_no_course_makes_a_second_account_or_lets_in_whom_a_case_bars(courses: int) -> None:
    """Of twenty steps each, as many as are asked for."""
    many = settings(max_examples=drawn(courses), stateful_step_count=20, deadline=None)
    run_state_machine_as_test(Cases, settings=many)
