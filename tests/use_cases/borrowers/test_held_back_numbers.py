"""Numbers that a case of the register's names are barred for as long, whatever comes between any two writes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Condition, get_ident
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.owed_look_up import OwedLookUp
from broker.core.borrowers.registered_person import RegisteredPerson, Residence
from broker.core.errors import StoreUnavailable
from broker.core.ports import Key
from broker.use_cases.borrowers.enrolment_records import REGISTER_CASE, register_case
from broker.use_cases.borrowers.held_back_numbers import HeldBackNumbers
from broker.use_cases.borrowers.known_borrower import person_key
from broker.use_cases.borrowers.staff_cases import StaffCases
from broker.use_cases.identity.person_resolution import PersonNames
from broker.use_cases.records import Records
from tests.plugins.drawn import drawn
from tests.use_cases.borrowers.conftest import CPR, Logins
from tests.use_cases.borrowers.test_look_up import CHANGED, NEW, PERSON, REFRESH, RULE, Desk, login

OTHER: Final = "0303990000"
THIRD: Final = "0404990000"
DEAD: Final = replace(PERSON, residence=Residence.DEAD, address=None)


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=[pytest.mark.server, pytest.mark.slow])])
def desk(request: pytest.FixtureRequest, world: Any, tmp_path: Path) -> Desk:
    """Give a desk on each store."""
    if request.param == "sqlite":
        return Desk(world)
    store = open_store(request.getfixturevalue("redis_url"), tmp_path, accept_loss=True)
    return Desk(type(world)(tmp_path / "unused.db", kept_in=store))


def told(number: str | None) -> RegisteredPerson:
    """Give the answer that the number was changed."""
    return replace(CHANGED, current_number=number)


def answered(desk: Desk, answer: RegisteredPerson | None) -> None:
    """Have the register answer so at the next login but ninety days."""
    desk.world.now += REFRESH + timedelta(days=1)
    desk.register.person = answer
    login(desk)
    desk.run()


def began(desk: Desk, answer: RegisteredPerson | None) -> None:
    """Enrol somebody who has come by their number, and have the register answer so."""
    links = desk.world.links
    links.by_cpr(links.of_cpr(CPR))
    desk.enrol()
    there = desk.world.library.borrowers["1"]
    desk.world.library.borrowers["1"] = replace(there, cpr=CPR)
    desk.register.person = answer
    desk.run()


def cases(desk: Desk) -> list[Any]:
    """Give the cases of the register's as they are stored."""
    return [entry for entry in desk.world.records.all() if entry.key.name == REGISTER_CASE]


def makes(desk: Desk, cpr: str) -> Any:
    """Wish for an account by a number; give the enrolment as it ends."""
    desk.world.now += timedelta(hours=2)
    desk.world.live.want(desk.world.wish(cpr=cpr))
    desk.world.settle()
    return desk.world.live.stored(cpr)


def enrolled(desk: Desk, cpr: str) -> str:
    """Enrol somebody by a number; give that of the borrower."""
    desk.world.live.want(desk.world.wish(register=RULE, cpr=cpr))
    desk.world.settle()
    return str(desk.world.live.stored(cpr).number)


def agree(desk: Desk, *, ended: bool = False) -> None:
    """Hold that whom a case names is barred, and nobody else; the dead stay out once staff have ``ended`` it."""
    links = desk.world.links
    named = {number for entry in cases(desk) for number in entry.enrolment.held_back}
    for cpr in (NEW, OTHER, THIRD):
        assert links.is_barred(cpr) == (links.of_cpr(cpr) in named), cpr
    owners = {entry.key.group for entry in cases(desk)}
    owed = Records(desk.world.store, OwedLookUp).list("register", None, desk.world.now)
    assert {each.key.group for each in owed if each.value.number_now} <= owners  # else nobody would drop the number
    is_dead = [entry.enrolment.reason for entry in cases(desk)] == ["person_dead"]
    for barred in (links.is_barred(CPR), links.is_barred(None, "1")):
        assert barred == is_dead or (ended and barred and not cases(desk))


@pytest.mark.parametrize("decision", ["retry", "confirm", "end"])
def test_a_number_that_was_told_before_another_makes_no_account(desk: Desk, decision: str) -> None:
    """The person got two after the old one: by each they may come, before staff decide and for months after it."""
    began(desk, told(NEW))
    answered(desk, told(OTHER))
    agree(desk)
    assert desk.world.links.is_barred(NEW)
    assert makes(desk, NEW).reason == "cpr_number_changed"
    [case] = cases(desk)
    if decision == "confirm":
        assert desk.cases.confirm(case.enrolment.id, "1")
        desk.run()
        assert desk.world.library.borrowers["1"].cpr == OTHER
    else:
        assert getattr(desk.cases, decision)(case.enrolment.id)
    assert cases(desk) == []
    agree(desk)
    assert desk.cases.retry(desk.world.live.stored(NEW).id)
    desk.world.settle()
    wanted = desk.world.live.stored(NEW)
    if decision == "end":
        assert wanted.state is EnrolmentState.DONE
    else:
        assert (wanted.state, wanted.reason) == (EnrolmentState.CASE, "cpr_differs")
        assert list(desk.world.library.borrowers) == ["1"]


@pytest.mark.parametrize("has_account", [False, True])
def test_a_number_whose_case_staff_have_decided_is_held_back_when_another_is_told(
    desk: Desk, *, has_account: bool
) -> None:
    """They said retry and wrote nothing: it made nobody; it is in force no more by now, or staff made its account."""
    began(desk, told(NEW))
    assert desk.cases.retry(cases(desk)[0].enrolment.id)
    assert makes(desk, NEW).reason == "cpr_differs"
    if has_account:
        desk.world.library.add(NEW, Borrower("9", "STUD", cpr=NEW))
        assert makes(desk, NEW).number == "9"
    answered(desk, told(OTHER))
    assert desk.world.links.is_barred(NEW) == (not has_account)
    agree(desk)


def at_write(desk: Desk, monkeypatch: pytest.MonkeyPatch, at: int, meanwhile: Callable[[], object]) -> list[Key]:
    """Have somebody else do something before the write ``at`` of links and enrolments."""
    plain = desk.world.store.put
    writes: list[Key] = []

    def put(key: Key, *given: Any, **how: Any) -> Any:
        if key.kind in {"link", "enrolment", "register"}:
            writes.append(key)
            if len(writes) == at:
                meanwhile()
        return plain(key, *given, **how)

    monkeypatch.setattr(desk.world.store, "put", put)
    return writes


FIRST: Final = {"unclear": None, "told": told(NEW), "kept": told(None)}
NEXT: Final = {"again": told(NEW), "another": told(OTHER), "dead": DEAD, "kept": told(None)}


SAME: Final = {("told", "again"), ("told", "kept"), ("kept", "kept")}
LISTED: Final = {each: "person_dead" if each == "dead" else "cpr_number_changed" for each in NEXT}


@pytest.mark.parametrize("decision", ["retry", "end"])
@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("first", FIRST)
def test_staff_who_decide_between_any_two_writes_of_a_look_up_leave_bars_and_cases_as_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, first: str, then: str, decision: str
) -> None:
    """The case of before, by what they have seen of it: an answer that came meanwhile has a case of its own."""
    at = 0
    writes: list[Key] = []
    while at <= len(writes):
        at += 1
        emptied(desk)
        began(desk, FIRST[first])
        [case] = [entry.enrolment.id for entry in cases(desk)]
        desk.world.now += REFRESH + timedelta(days=1)
        desk.register.person = NEXT[then]
        login(desk)
        with monkeypatch.context() as between:
            writes = at_write(desk, between, at, partial(getattr(desk.cases, decision), case))
            desk.run()
        agree(desk, ended=decision == "end")
        assert len(desk.world.library.borrowers) == 1


def emptied(desk: Desk) -> None:
    """Begin anew in the same store."""
    for kind in ("link", "enrolment", "register", "lease"):
        for key, _ in list(desk.world.store.list(kind, None, desk.world.now)):
            desk.world.store.drop(key)
    desk.world.library.borrowers.clear()
    desk.world.library.cprs.clear()


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("decision", ["retry", "end"])
def test_a_look_up_between_any_two_writes_of_a_decision_leaves_bars_and_cases_as_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, decision: str, first: str, then: str
) -> None:
    """What the register says then has a case, which staff see, and by which it bars."""
    at = 0
    writes: list[Key] = []
    while at <= len(writes):
        at += 1
        emptied(desk)
        began(desk, FIRST[first])
        [case] = [entry.enrolment.id for entry in cases(desk)]
        desk.world.now += REFRESH + timedelta(days=1)
        desk.register.person = NEXT[then]
        login(desk)
        with monkeypatch.context() as between:
            writes = at_write(desk, between, at, desk.run)
            getattr(desk.cases, decision)(case)
        agree(desk, ended=decision == "end")
        if at <= len(writes) and (first, then) not in SAME:
            # Staff have not seen it: their decision is of what they have.
            assert [entry.enrolment.reason for entry in cases(desk)] == [LISTED[then]]


@pytest.mark.parametrize("first", ["told", "kept"])
@pytest.mark.parametrize("at", range(1, 12))
def test_a_look_up_that_dies_leaves_nobody_barred_by_no_case(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, first: str, at: int
) -> None:
    """Staff decide before it is carried out again, or after it."""
    began(desk, FIRST[first])
    [case] = cases(desk)
    desk.world.now += REFRESH + timedelta(days=1)
    desk.register.person = told(OTHER)
    login(desk)

    def die() -> None:
        raise StoreUnavailable("dead")

    with monkeypatch.context() as dying, suppress(StoreUnavailable):
        at_write(desk, dying, at, die)
        desk.run()
    desk.cases.retry(case.enrolment.id)
    desk.world.now += timedelta(hours=3)
    desk.run()
    agree(desk)


@pytest.mark.parametrize("after", range(1, 4))
@pytest.mark.parametrize("at", range(1, 6))
def test_a_look_up_that_dies_after_staff_have_decided_is_carried_out_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, at: int, after: int
) -> None:
    """What it has barred has a case by then, or is let in."""
    began(desk, told(NEW))
    [case] = [entry.enrolment.id for entry in cases(desk)]
    desk.world.now += REFRESH + timedelta(days=1)
    desk.register.person = told(OTHER)
    login(desk)

    def die() -> None:
        raise StoreUnavailable("dead")

    def decide() -> None:
        between.undo()
        desk.cases.retry(case)
        at_write(desk, dying, after, die)

    with monkeypatch.context() as dying, pytest.MonkeyPatch.context() as between, suppress(StoreUnavailable):
        at_write(desk, between, at, decide)
        desk.run()
    desk.world.now += timedelta(hours=3)
    desk.run()
    agree(desk)


@dataclass
class Turns:
    """Two threads of which one runs at a time: at each write ``order`` says which goes on."""

    order: Iterator[int]
    going: set[int] = field(default_factory=lambda: {0, 1})
    parked: set[int] = field(default_factory=set)
    whose: int | None = None
    changed: Condition = field(default_factory=Condition)

    def run(self, me: int, step: Callable[[], object]) -> None:
        """Carry out a step in turns."""
        try:
            self.take(me)
            step()
        finally:
            with self.changed:
                self.going.discard(me)
                self._choose()

    def take(self, me: int) -> None:
        """Wait for a turn."""
        with self.changed:
            self.parked.add(me)
            self._choose()
            assert self.changed.wait_for(lambda: self.whose == me, 30)
            self.parked.discard(me)
            self.whose = None

    def _choose(self) -> None:
        if self.going and self.parked == self.going:
            chosen = next(self.order, 0)
            self.whose = chosen if chosen in self.going else min(self.going)
            self.changed.notify_all()


@given(
    order=st.lists(st.integers(0, 1), max_size=40),
    first=st.sampled_from(sorted(FIRST)),
    then=st.sampled_from(sorted(NEXT)),
    decision=st.sampled_from(["retry", "end"]),
)
@settings(max_examples=drawn(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_look_up_and_a_decision_in_turns_leave_bars_and_cases_as_one(
    world: Any, order: list[int], first: str, then: str, decision: str
) -> None:
    """Whichever of the two goes on at each of their writes."""
    desk = Desk(world)
    emptied(desk)
    began(desk, FIRST[first])
    [case] = [entry.enrolment.id for entry in cases(desk)]
    desk.world.now += REFRESH + timedelta(days=1)
    desk.register.person = NEXT[then]
    login(desk)
    turns = Turns(iter(order))
    names: dict[int, int] = {}
    plain = world.store.put

    def put(key: Key, *given: Any, **how: Any) -> Any:
        if key.kind != "lease":
            turns.take(names[get_ident()])
        return plain(key, *given, **how)

    def named_as(me: int, step: Callable[[], object]) -> None:
        names[get_ident()] = me
        turns.run(me, step)

    with pytest.MonkeyPatch.context() as between, ThreadPoolExecutor(2) as pool:
        between.setattr(world.store, "put", put)
        decide: Callable[[], object] = partial(getattr(desk.cases, decision), case)
        steps: tuple[Callable[[], object], ...] = (desk.run, decide)
        for done in [pool.submit(named_as, me, step) for me, step in enumerate(steps)]:
            done.result()
    agree(desk, ended=decision == "end")


@pytest.mark.parametrize("by", [PersonNames(), PersonNames(own="eppn of another")], ids=["no name", "another name"])
@pytest.mark.parametrize("before", [False, True], ids=["case is there", "answer comes later"])
@pytest.mark.parametrize("written", range(6))
def test_a_login_that_dies_between_its_writes_lets_nobody_in_by_another_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, by: PersonNames, written: int, *, before: bool
) -> None:
    """What its name had before is told before the name leads to the new number."""
    world = desk.world
    links = world.links
    persons = Logins(world).persons()
    own = links.of_name("eppn au", "aase@au.dk")
    persons.person(PersonNames(cpr=links.of_cpr(CPR), own=own))
    desk.enrol()
    desk.register.person = CHANGED
    if not before:
        desk.run()
    came = PersonNames(cpr=links.of_cpr(NEW), own=own)
    plain, left = world.store.put, iter(range(written))

    def put(*given: Any, **how: Any) -> Any:
        if next(left, None) is None:
            raise StoreUnavailable("dead")
        return plain(*given, **how)

    dies = False
    with monkeypatch.context() as dying:
        dying.setattr(world.store, "put", put)
        try:
            persons.person(came)
        except StoreUnavailable:
            dies = True
    is_told = links.cpr(own) == links.of_cpr(NEW) or not dies
    if before:
        desk.run()
    persons.person(replace(by, cpr=links.of_cpr(NEW)))
    world.live.want(world.wish(cpr=NEW))
    world.settle()
    if is_told:
        assert list(world.library.borrowers) == ["1"]
        assert persons.person(replace(by, cpr=links.of_cpr(NEW))).case == "cpr_number_changed"


def test_a_retry_lets_nobody_in_whom_another_case_bars(desk: Desk) -> None:
    """A case of two borrowers names that of somebody who is dead; the number of its own person is held back, too."""
    world, library = desk.world, desk.world.library
    links = world.links
    links.by_cpr(links.of_cpr(OTHER))
    desk.register.person = DEAD
    enrolled(desk, OTHER)
    desk.run()
    dead = world.live.stored(OTHER).number
    assert links.is_barred(None, dead)
    library.add(NEW, replace(library.borrowers[dead], cpr=NEW))
    links.by_cpr(links.of_cpr(CPR))
    desk.enrol()
    own = world.live.stored(CPR).number
    library.borrowers[own] = replace(library.borrowers[own], cpr=CPR)
    desk.register.person = told(NEW)
    desk.run()
    [case] = [each for each in cases(desk) if each.enrolment.reason == "cpr_number_changed"]
    assert case.enrolment.borrowers == (own, dead)
    assert desk.cases.retry(case.enrolment.id)
    assert links.is_barred(OTHER)
    assert links.is_barred(None, dead)


def test_a_retry_of_a_number_that_another_case_holds_back_lets_nobody_in(desk: Desk) -> None:
    """The register tells of one person's number that it is another's now, and of that one that it is not clear."""
    world, links = desk.world, desk.world.links
    links.by_cpr(links.of_cpr(OTHER))
    enrolled(desk, OTHER)
    desk.register.person = None
    desk.run()
    [unclear] = cases(desk)
    del world.library.borrowers["1"], world.library.cprs["1"]
    links.by_cpr(links.of_cpr(CPR))
    desk.enrol()
    desk.register.person = told(OTHER)
    desk.run()
    assert links.is_barred(OTHER)
    assert desk.cases.retry(unclear.enrolment.id)
    assert links.is_barred(OTHER)
    [changed] = cases(desk)
    assert desk.cases.retry(changed.enrolment.id)
    assert not links.is_barred(OTHER)


def named_case(desk: Desk) -> Any:
    """Enrol somebody by a name and their number, which the register says was changed, not to which; give the case."""
    links = desk.world.links
    came(desk, CPR)
    began(desk, told(None))
    assert links.is_barred(CPR) is False
    return cases(desk)[0]


def came(desk: Desk, cpr: str, name: str | None = "aase") -> Any:
    """Log somebody in by a number, and by a name of a university if they have one; give their person."""
    links = desk.world.links
    own = links.of_name("eppn au", f"{name}@au.dk") if name else None
    return Logins(desk.world).persons().person(PersonNames(cpr=links.of_cpr(cpr), own=own))


@pytest.mark.parametrize("written", range(8))
def test_a_login_that_dies_leaves_no_number_let_in_that_a_case_names(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """It bars the number before the case names it: staff see it held back, and it comes by any other name."""
    world = desk.world
    case = named_case(desk)
    plain, left = world.store.put, iter(range(written))

    def put(*given: Any, **how: Any) -> Any:
        if next(left, None) is None:
            raise StoreUnavailable("dead")
        return plain(*given, **how)

    with monkeypatch.context() as dying, suppress(StoreUnavailable):
        dying.setattr(world.store, "put", put)
        came(desk, NEW)
    stored = world.records.read(case.key)
    if world.links.of_cpr(NEW) in stored.enrolment.held_back:
        assert came(desk, NEW, None).case == "cpr_number_changed"
        assert makes(desk, NEW).reason == "cpr_number_changed"
        assert list(world.library.borrowers) == ["1"]
    came(desk, NEW)
    agree(desk)


@pytest.mark.parametrize("then", ["it comes again", "staff end the notice"])
def test_a_number_that_a_login_barred_before_it_died_is_let_in_once_no_case_waits(desk: Desk, then: str) -> None:
    """Where the case was decided meanwhile: its name comes again, or staff end the notice that names it."""
    links = desk.world.links
    case = named_case(desk)
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(desk.world.records.__class__, "amend", died)
        with pytest.raises(StoreUnavailable):
            came(desk, NEW)
    assert links.is_barred(NEW)
    assert desk.cases.end(case.enrolment.id)
    if then == "it comes again":
        came(desk, NEW)
    else:
        [notice] = [row for row in desk.cases.rows() if row["state"] == "notice"]
        assert desk.cases.end(str(notice["id"]))
    assert not links.is_barred(NEW)


def died(*_: Any) -> None:
    """Die."""
    raise StoreUnavailable("dead")


@pytest.mark.parametrize("wrote", [NEW, OTHER, THIRD], ids=["the first", "the second", "one that never came"])
def test_of_numbers_that_may_be_the_new_one_none_makes_an_account_once_staff_have_written_theirs(
    desk: Desk, wrote: str
) -> None:
    """It was changed twice, say: whoever comes by the number of the time between would get a second one."""
    library = desk.world.library
    case = named_case(desk)
    came(desk, NEW)
    came(desk, CPR, "aase.b")
    came(desk, OTHER, "aase.b")
    library.borrowers["1"] = replace(library.borrowers["1"], cpr=wrote)
    library.cprs["1"] = wrote
    assert desk.cases.retry(case.enrolment.id)
    for cpr in (NEW, OTHER):
        assert came(desk, cpr).case is None
        enrolment = makes(desk, cpr)
        if cpr == wrote:
            assert (enrolment.state, enrolment.number) == (EnrolmentState.DONE, "1")
        else:
            assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "cpr_differs")
    assert list(library.borrowers) == ["1"]


@pytest.mark.parametrize("before", ["nothing", "retry"])
def test_a_number_that_was_held_back_is_somebodys_once_staff_say_that_the_old_one_holds(
    desk: Desk, before: str
) -> None:
    """Its holder has had the name since, and gets an account; after a `retry` by hand, for it may be another case's."""
    case = named_case(desk)
    came(desk, NEW)
    if before == "retry":
        assert desk.cases.retry(case.enrolment.id)
        answered(desk, told(None))
        [case] = cases(desk)
    assert desk.cases.end(case.enrolment.id)
    if before == "retry":
        assert makes(desk, NEW).reason == "cpr_differs"
        desk.world.library.add(NEW, Borrower("9", "STUD", cpr=NEW))
    assert makes(desk, NEW).state is EnrolmentState.DONE


@pytest.mark.parametrize("decision", ["retry", "confirm"])
def test_a_number_that_may_be_of_the_time_between_makes_no_account_once_another_is_told(
    desk: Desk, decision: str
) -> None:
    """It stays held back until staff decide, and is made nobody by afterwards."""
    links, library = desk.world.links, desk.world.library
    named_case(desk)
    came(desk, NEW)
    answered(desk, told(OTHER))
    assert links.is_barred(NEW)
    agree(desk)
    [case] = cases(desk)
    if decision == "confirm":
        assert desk.cases.confirm(case.enrolment.id, "1")
        desk.run()
    else:
        assert desk.cases.retry(case.enrolment.id)
    agree(desk)
    assert makes(desk, NEW).reason == "cpr_differs"
    assert list(library.borrowers) == ["1"]


@pytest.mark.parametrize("decision", ["end", "retry"])
def test_a_number_that_the_register_told_wrongly_leads_to_somebody_else(desk: Desk, decision: str) -> None:
    """Its answer gave the number the person's id: a stranger would be them to every service."""
    began(desk, told(NEW))
    [case] = cases(desk)
    assert getattr(desk.cases, decision)(case.enrolment.id)
    person = came(desk, CPR, None)
    another = came(desk, NEW, None)
    assert (person.case, another.case) == (None, None)
    assert (person.id == another.id) == (decision == "retry")


@pytest.mark.parametrize("answer", [None, DEAD], ids=["unclear", "dead"])
@pytest.mark.parametrize("how", ["told", "by a name"])
def test_staff_who_end_what_a_changed_number_has_become_make_no_second_account(
    desk: Desk, how: str, answer: RegisteredPerson | None
) -> None:
    """As they are told to: they read another reason by then, and say nothing of the numbers before it."""
    if how == "told":
        began(desk, told(NEW))
    else:
        named_case(desk)
        came(desk, NEW)
    answered(desk, answer)
    [case] = cases(desk)
    assert case.enrolment.reason != "cpr_number_changed"
    assert desk.cases.end(case.enrolment.id)
    agree(desk, ended=True)
    assert makes(desk, NEW).reason == "cpr_differs"
    desk.world.library.borrowers["1"] = replace(desk.world.library.borrowers["1"], cpr=NEW, mark=None)
    desk.world.library.cprs["1"] = NEW
    makes(desk, CPR)
    assert makes(desk, NEW).number == "1"
    assert list(desk.world.library.borrowers) == ["1"]


def test_a_number_is_given_by_the_case_alone_that_names_it(desk: Desk) -> None:
    """Staff confirm the case that they have read; the register tells another number at that moment."""
    began(desk, told(NEW))
    [seen] = cases(desk)
    desk.world.now += timedelta(days=31)
    answered(desk, told(OTHER))
    [listed] = cases(desk)
    assert not desk.cases.decisions.confirm(seen, "1")
    assert desk.cases.decisions.confirm(listed, "1")


def test_a_case_does_not_hold_back_whose_it_is(desk: Desk) -> None:
    """Their name comes with another number, and with theirs again, once what is known of their account has expired."""
    world = desk.world
    named_case(desk)
    came(desk, NEW)
    world.store.drop(person_key(world.links.of_cpr(CPR)))
    assert came(desk, CPR).case is None
    [case] = cases(desk)
    assert case.enrolment.held_back == (world.links.of_cpr(NEW),)


def test_a_register_that_tells_the_number_it_was_asked_for_changes_nobodys_id(desk: Desk) -> None:
    """Staff say that it is still theirs: they stay who they are to every service."""
    links = desk.world.links
    began(desk, told(CPR))
    before = links.known_by_cpr(links.of_cpr(CPR))
    [case] = cases(desk)
    assert desk.cases.end(case.enrolment.id)
    assert came(desk, CPR, None).id == before


def test_every_number_of_a_notice_is_let_in_where_no_case_waits_once_staff_end_it(desk: Desk) -> None:
    """A login that died has barred the first; its name has come with another since, and nobody else lifts the bar."""
    links = desk.world.links
    case = named_case(desk)
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(desk.world.records.__class__, "amend", died)
        with pytest.raises(StoreUnavailable):
            came(desk, NEW)
    came(desk, OTHER)
    assert desk.cases.end(case.enrolment.id)
    assert links.is_barred(NEW)
    [notice] = [row for row in desk.cases.rows() if row["state"] == "notice"]
    assert desk.cases.end(str(notice["id"]))
    assert (links.is_barred(NEW), links.is_barred(OTHER)) == (False, False)


@pytest.mark.parametrize("decision", ["retry", "end"])
def test_a_notice_that_names_another_number_at_that_moment_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    """A login comes between the look of staff and their write: nobody has read of its number."""
    links, world = desk.world.links, desk.world
    came(desk, CPR)
    came(desk, NEW)
    [notice] = [entry for entry in world.records.all() if entry.enrolment.state is EnrolmentState.NOTICE]
    plain = StaffCases.find

    def find(cases: StaffCases, enrolment_id: str) -> Any:
        found = plain(cases, enrolment_id)
        came(desk, OTHER)
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(StaffCases, "find", find)
        assert not getattr(desk.cases, decision)(notice.enrolment.id)
    [after] = [entry for entry in world.records.all() if entry.enrolment.state is EnrolmentState.NOTICE]
    assert after.enrolment.person == links.of_cpr(OTHER)


def test_a_look_up_that_dies_before_the_case_has_ended_ends_it_when_it_comes_again(desk: Desk) -> None:
    """The number that staff confirmed is kept for it until then: the borrower has it, and its case would wait on."""
    began(desk, told(NEW))
    [case] = cases(desk)
    assert desk.cases.confirm(case.enrolment.id, "1")
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(desk.world.records.__class__, "end", died)
        with suppress(StoreUnavailable):
            desk.run()
    assert desk.world.library.borrowers["1"].cpr == NEW
    assert len(cases(desk)) == 1
    desk.world.now += timedelta(hours=2)
    desk.loop = desk.another_loop()
    desk.run()
    assert cases(desk) == []
    agree(desk)


def test_a_case_that_names_another_borrower_has_another_id(desk: Desk) -> None:
    """Staff have seen one borrower, and the new number has one of its own by now: which stays is not said."""
    began(desk, told(NEW))
    [seen] = cases(desk)
    desk.world.now += timedelta(days=31)
    desk.world.library.add(NEW, Borrower("9", "STUD", cpr=NEW))
    answered(desk, told(NEW))
    [listed] = cases(desk)
    assert (seen.enrolment.borrowers, listed.enrolment.borrowers) == (("1",), ("1", "9"))
    assert [desk.cases.retry(each.enrolment.id) for each in (seen, listed)] == [False, True]


@pytest.mark.parametrize("second", ["retry", "end"])
@pytest.mark.parametrize("first", ["retry", "end"])
@pytest.mark.parametrize("when", ["find", "end"])
def test_of_two_who_decide_a_case_at_once_one_does(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, when: str, first: str, second: str
) -> None:
    """The other is told so: an `end` undoes nothing of a `retry`, by which the old number makes no second account."""
    world = desk.world
    began(desk, told(NEW))
    world.library.borrowers["1"] = replace(world.library.borrowers["1"], cpr=NEW, mark=None)
    world.library.cprs["1"] = NEW
    before = world.links.known_by_cpr(world.links.of_cpr(CPR))
    [case] = cases(desk)
    place = StaffCases if when == "find" else world.records.__class__
    plain = getattr(place, when)
    decided: list[bool] = []

    def comes(self: Any, given: Any) -> Any:
        found = plain(self, given) if when == "find" else None
        if not decided:
            decided.append(False)
            decided[0] = getattr(desk.cases, first)(case.enrolment.id)
        return found or plain(self, given)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(place, when, comes)
        decided.append(getattr(desk.cases, second)(case.enrolment.id))
    assert decided == [True, False]
    assert cases(desk) == []
    if first == "retry" and when == "find":
        assert came(desk, NEW, None).id == before
    if first == "retry":
        makes(desk, CPR)
        assert list(world.library.borrowers) == ["1"]
    elif when == "find":
        world.library.borrowers.clear()
        world.library.cprs.clear()
        assert makes(desk, CPR).state is EnrolmentState.DONE


def test_the_old_number_makes_an_account_again_once_staff_say_that_it_holds(desk: Desk) -> None:
    """They had said `retry` before; the account is deleted since."""
    began(desk, told(NEW))
    assert desk.cases.retry(cases(desk)[0].enrolment.id)
    answered(desk, told(NEW))
    assert desk.cases.end(cases(desk)[0].enrolment.id)
    desk.world.library.borrowers.clear()
    desk.world.library.cprs.clear()
    assert makes(desk, CPR).state is EnrolmentState.DONE


def test_a_number_that_one_name_brings_after_another_is_held_back_by_the_case_of_the_first(desk: Desk) -> None:
    """Each may be the new one; of the second nobody has a case of its own."""
    links = desk.world.links
    named_case(desk)
    assert came(desk, NEW).case == "cpr_number_changed"
    assert came(desk, OTHER).case == "cpr_number_changed"
    [case] = cases(desk)
    assert case.enrolment.guessed == (links.of_cpr(NEW), links.of_cpr(OTHER))
    agree(desk)


def test_a_number_that_comes_with_the_name_once_the_register_has_told_another_is_somebodys(desk: Desk) -> None:
    """Nothing is guessed then: the name has its next holder, who is let in."""
    came(desk, CPR)
    began(desk, told(NEW))
    assert came(desk, OTHER).case is None
    [case] = cases(desk)
    assert case.enrolment.held_back == (desk.world.links.of_cpr(NEW),)
    agree(desk)


@pytest.mark.parametrize("decision", ["retry", "end"])
@pytest.mark.parametrize("when", ["named", "barred"])
def test_a_case_that_is_decided_while_a_login_bars_its_number_leaves_no_bar(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, when: str, decision: str
) -> None:
    """Before the login's last bar, or between the two lifts of the decision: nobody could lift the bar of no case."""
    links, world = desk.world.links, desk.world
    case = named_case(desk)
    if when == "barred":
        came(desk, NEW)
    place, name = (HeldBackNumbers, "hold") if when == "named" else (world.records.__class__, "end")
    plain = getattr(place, name)

    def comes(self: Any, *given: Any) -> Any:
        monkeypatch.setattr(place, name, plain)
        if when == "named":
            assert getattr(desk.cases, decision)(case.enrolment.id)
        else:
            HeldBackNumbers(world.records, links).hold(links.of_cpr(NEW), case.key)
        return plain(self, *given)

    monkeypatch.setattr(place, name, comes)
    if when == "named":
        came(desk, NEW)
    else:
        assert getattr(desk.cases, decision)(case.enrolment.id)
    assert cases(desk) == []
    agree(desk)


def test_a_number_that_is_named_anew_while_its_bar_is_lifted_is_held(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login has found no case that names it, and lifts its bar; the case is listed at that moment."""
    links, world = desk.world.links, desk.world
    case = named_case(desk)
    number = links.of_cpr(NEW)
    links.by_cpr(number)
    plain = links.__class__.lift

    def lifted(self: Any, cpr: str, reason: str) -> bool:
        monkeypatch.setattr(links.__class__, "lift", plain)
        world.records.amend(case.key, lambda entry: (replace(entry.enrolment, guessed=(number,)), entry.due))
        return bool(plain(self, cpr, reason))

    monkeypatch.setattr(links.__class__, "lift", lifted)
    assert HeldBackNumbers(world.records, links).hold(number, case.key)
    agree(desk)


def test_a_case_that_says_something_else_once_its_person_is_forgotten_is_ended_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was listed anew between the look and the write: nothing of theirs may stay."""
    world = desk.world
    case = named_case(desk)
    place = world.records.__class__
    plain = place.end

    def ended(self: Any, entry: Any) -> bool:
        monkeypatch.setattr(place, "end", plain)
        world.records.amend(case.key, lambda each: (replace(each.enrolment, id="another"), each.due))
        return bool(plain(self, entry))

    monkeypatch.setattr(place, "end", ended)
    desk.cases.decisions.forget(case.key)
    assert cases(desk) == []


def test_a_number_that_another_case_names_while_a_decision_lifts_it_is_held_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision has found none that does: between its look and its write a look-up has listed one."""
    links, world = desk.world.links, desk.world
    case = named_case(desk)
    came(desk, NEW)
    number, another = links.of_cpr(NEW), register_case(links.of_cpr(OTHER))
    plain = links.__class__.lift

    def lifted(self: Any, cpr: str, reason: str) -> bool:
        monkeypatch.setattr(links.__class__, "lift", plain)
        world.records.decide(another, lambda _: (replace(case.enrolment, id="another", guessed=(number,)), None))
        return bool(plain(self, cpr, reason))

    monkeypatch.setattr(links.__class__, "lift", lifted)
    assert desk.cases.end(case.enrolment.id)
    agree(desk)
    assert links.is_barred(NEW)
