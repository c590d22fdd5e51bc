"""Look-ups in a register of persons: wanted, carried out beside every login, applied, told, and never lost."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.owed_look_up import LookUpOutcome
from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredName,
    RegisteredPerson,
    RegisterRefused,
    RegisterUnavailable,
    Residence,
)
from broker.core.errors import AuditUnavailable, LibraryRefused, LibraryUnavailable, StoreUnavailable
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.identity.rights import Ground
from broker.core.policy.register_rule import RegisterRule
from broker.core.ports import Kept, Key, RecordUnreadable, lease_of
from broker.use_cases.borrowers.known_borrower import person_key
from broker.use_cases.borrowers.register_loop import RegisterLoop
from broker.use_cases.borrowers.staff_cases import StaffCases
from broker.use_cases.identity.person_links import PersonLinks
from broker.use_cases.identity.person_resolution import PersonNames
from broker.use_cases.records import dump
from tests.plugins.drawn import drawn
from tests.use_cases.borrowers.conftest import CPR, STUDENT, KeptTrail, Logins
from tests.use_cases.conftest import World

NEW: Final = "0202990000"
REFRESH: Final = timedelta(days=90)
ADDRESS: Final = RegisteredAddress("", "Skjultvej 7", "", "8000", "Aarhus C")
PERSON: Final = RegisteredPerson(Residence.IN_DENMARK, RegisteredName("Åse", "", "Prøvesen"), ADDRESS, protected=False)
RULE: Final = RegisterRule("set_if_empty")
ASKED, ANSWERED = AuditEventKind.REGISTER_ASKED, AuditEventKind.REGISTER_ANSWERED


@dataclass
class Register:
    """A register that knows one person under every number; ``error`` answers in its place."""

    person: RegisteredPerson | None = PERSON
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def look_up(self, cpr: str, deadline: datetime) -> RegisteredPerson | None:
        """Answer."""
        del deadline
        self.asked.append(cpr)
        self.meanwhile()
        if self.error:
            raise self.error
        return self.person

    def prove(self, deadline: datetime) -> tuple[()]:
        """Find nothing."""
        del deadline
        return ()


@dataclass
class Desk:
    """A world with a register, the loop that asks it, and what is told."""

    world: Any
    trail: KeptTrail = field(default_factory=KeptTrail)
    register: Register = field(default_factory=Register)
    told: list[BrokerEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open it all."""
        ports = replace(self.world.ports, refresh_after=REFRESH, trail=self.trail, tell=self._tell)
        self.world.ports = ports
        self.world.live = self.world.enrolments("live")
        self.loop = self.another_loop()
        self.cases = StaffCases.of(ports)

    def another_loop(self, *, to_library: bool = False) -> RegisterLoop:
        """Give the loop of another worker."""
        return RegisterLoop(self.world.ports, self.register, to_library)

    def enrol(self, rule: RegisterRule = RULE, **more: Any) -> str:
        """Enrol somebody; give the borrower's number."""
        self.world.live.want(self.world.wish(register=rule, **more))
        return str(self.world.settle().number)

    def run(self) -> int:
        """Carry out what is due now."""
        steps = 0
        while self.loop.step():
            steps += 1
        return steps

    def events(self) -> list[tuple[AuditEventKind, str | None]]:
        """Give the events of look-ups."""
        return [(each.kind, each.reason) for each in self.trail.events if each.kind in {ASKED, ANSWERED}]

    def owed(self) -> list[Kept]:
        """Give the look-ups that are owed."""
        return [kept for _, kept in self.world.store.list("register", None, self.world.now)]

    def fields(self, number: str = "1") -> Any:
        """Give the fields of a borrower."""
        return self.world.library.borrowers[number].fields

    def case(self) -> Any:
        """Give the one case of the register's."""
        (row,) = (row for row in self.cases.rows() if row["state"] == "case")
        return row

    def _tell(self, event: BrokerEvent | AuditEvent) -> None:
        if isinstance(event, BrokerEvent):
            self.told.append(event)


@pytest.fixture(name="desk")
def _desk(world: Any) -> Desk:
    return Desk(world)


def test_an_enrolment_that_is_done_owes_a_look_up_and_gets_its_address(desk: Desk) -> None:
    """Asked once, told on the trail before and after, with the reason and without a value."""
    desk.enrol()
    assert (len(desk.owed()), desk.register.asked) == (1, [])
    assert desk.run() == 1
    assert (desk.fields()["address"], desk.fields()["city"]) == ("Skjultvej 7", "Aarhus C")
    assert desk.events() == [(ASKED, "enrolment"), (ANSWERED, "written")]
    assert (desk.register.asked, desk.owed()) == ([CPR], [])
    assert desk.world.live.stored(CPR).registered == desk.world.now
    assert "Skjultvej" not in repr(desk.trail.events) + repr(desk.told)


def test_a_policy_that_asks_nothing_owes_nothing(desk: Desk) -> None:
    """Neither does a broker without a register."""
    desk.world.live.want(desk.world.wish())
    desk.world.settle()
    assert desk.owed() == []
    ports = replace(desk.world.ports, refresh_after=None)
    desk.world.ports = ports
    desk.world.live = desk.world.enrolments("live")
    desk.enrol()
    assert desk.owed() == []


def login(desk: Desk, *, answered: bool = True, **more: Any) -> None:
    """Log the student in at a service that makes borrowers, until the assertion may leave."""
    logins = Logins(desk.world)
    arrived = logins.arrived(rule=replace(STUDENT, register=RULE), **more)
    borrowers, persons = logins.borrowers(), logins.persons()
    names = persons.names(arrived)
    reads = {key: desk.world.store.get(key, desk.world.now) for key in borrowers.keys(names)}
    desk.world.hooks.calls.clear()
    account = borrowers.account(logins.transaction(), arrived, desk.world.now, borrowers.remembered(names, reads))
    if answered:
        borrowers.owe_look_up(replace(logins.transaction(), account=account), arrived)


def test_a_login_after_ninety_days_owes_another_and_waits_for_nothing(desk: Desk) -> None:
    """Not a day sooner; one that is owed already stays one, and the register is not called."""
    desk.enrol()
    desk.run()
    desk.world.now += REFRESH - timedelta(minutes=1)
    login(desk)
    assert desk.owed() == []
    desk.world.now += timedelta(minutes=1)
    login(desk, borrower="need")
    login(desk)
    assert (len(desk.owed()), len(desk.register.asked)) == (1, 1)
    desk.run()
    assert desk.events()[-2:] == [(ASKED, "refresh"), (ANSWERED, "unchanged")]


@pytest.mark.parametrize("more", [{"ground": Ground.ALUMNI}, {"borrower": "none"}])
def test_who_writes_nothing_is_not_looked_up(desk: Desk, more: dict[str, Any]) -> None:
    """A person who is not known in person, and one at a service without accounts."""
    desk.enrol()
    desk.run()
    desk.world.now += REFRESH
    login(desk, **more)
    assert desk.owed() == []


def test_nobody_is_owed_a_look_up_before_their_answer(desk: Desk) -> None:
    """The account is found before the page that tells of it: a no to that page leaves nothing owed."""
    desk.enrol(RegisterRule())
    desk.run()
    desk.world.now += REFRESH
    login(desk, answered=False)
    assert desk.owed() == []
    login(desk)
    assert len(desk.owed()) == 1


def test_a_register_that_is_down_is_asked_later_and_left_in_peace(desk: Desk) -> None:
    """Each look-up waits longer, and all of them rest meanwhile: no storm when it is up again."""
    desk.enrol()
    desk.register.error = RegisterUnavailable("the register answered 429")
    for _ in range(200):
        desk.run()
        desk.world.now += timedelta(seconds=30)
    assert 5 < len(desk.register.asked) < 20
    assert {event.kind for event in desk.told} >= {EventKind.REGISTER_HELD_UP}
    desk.register.error = None
    desk.world.now += timedelta(hours=3)
    assert (desk.run(), desk.fields()["address"]) == (1, "Skjultvej 7")


def test_one_call_finds_out_for_all_that_a_register_is_down(desk: Desk) -> None:
    """Thousands may be owed: they do not all ask a register that has had enough."""
    for day in range(1, 10):
        desk.world.live.want(desk.world.wish(register=RULE, cpr=f"0{day}03990000"))
    desk.world.settle()
    desk.register.error = RegisterUnavailable("the register answered 429")
    desk.run()
    assert (len(desk.owed()), len(desk.register.asked)) == (9, 1)


def test_after_a_month_nobody_is_asked_any_more(desk: Desk) -> None:
    """The number goes with the look-up, and the trail says that nothing came of it."""
    desk.enrol()
    desk.world.now += timedelta(days=30)
    desk.run()
    assert (desk.register.asked, desk.owed()) == ([], [])
    assert desk.events() == [(ANSWERED, "given_up")]


def test_an_error_leaves_the_look_up_owed(desk: Desk) -> None:
    """A refusal, a silent library system, and a trail that cannot be written: then nobody is looked up."""
    desk.enrol()
    desk.register.error = RegisterRefused("the register knows no field", "person_register.also")
    desk.run()
    desk.register.error = None
    desk.world.now += timedelta(hours=1)
    desk.world.hooks.before["read"] = raising(LibraryUnavailable("down"))
    desk.run()
    asked = len(desk.register.asked)
    desk.world.now += timedelta(hours=1)
    desk.trail.add = raising(AuditUnavailable("full"))  # type: ignore[method-assign]
    desk.run()
    assert (len(desk.owed()), len(desk.register.asked)) == (1, asked)
    assert [event.facts["cause"] for event in desk.told] == ["the register knows no field", "down", "full"]


def test_nobody_is_asked_about_in_vain(desk: Desk) -> None:
    """While the library system is silent, and of a borrower that is gone, the number stays where it is."""
    desk.enrol()
    for _ in range(24):
        desk.world.hooks.before["read"] = raising(LibraryUnavailable("down"))
        desk.run()
        desk.world.now += timedelta(hours=1)
    desk.world.hooks.before.clear()
    assert (desk.register.asked, len(desk.owed())) == ([], 1)
    desk.world.now += timedelta(hours=3)  # no pause is longer
    del desk.world.library.borrowers["1"]
    desk.world.now += timedelta(hours=12)
    desk.run()
    assert (desk.register.asked, desk.owed(), desk.events()) == ([], [], [(ANSWERED, "no_borrower")])


@pytest.mark.parametrize(
    ("guardian", "reason"), [(None, "register_not_written"), (True, "under_guardianship")], ids=["plain", "guardian"]
)
def test_what_the_library_system_refuses_is_a_case(desk: Desk, guardian: Any, reason: str) -> None:
    """Asked again both would say the same: staff read what it says, and the register is asked once."""
    desk.register.person = replace(PERSON, under_guardianship=guardian)
    desk.enrol(RegisterRule("always", under_guardianship="case"))
    desk.world.hooks.before["change"] = raising(LibraryRefused("city is too long"))
    desk.run()
    assert (desk.case()["reason"], desk.case()["cause"]) == (reason, "city is too long")
    assert (desk.case()["borrowers"], desk.owed(), len(desk.register.asked)) == (("1",), [], 1)
    login(desk)
    assert desk.owed() == []
    assert desk.cases.retry(str(desk.case()["id"]))
    login(desk)
    assert len(desk.owed()) == 1


def test_a_record_that_cannot_be_read_is_a_case_after_five_answers(desk: Desk) -> None:
    """One person's, whose number would go to the register for a month; where a setting is wrong it is tried on."""
    desk.enrol()
    desk.register.error = RegisterRefused("the field postnummer of the answer is not as documented")
    for _ in range(48):
        desk.run()
        desk.world.now += timedelta(hours=1)
    assert (len(desk.register.asked), desk.owed()) == (5, [])
    assert (desk.case()["reason"], desk.case()["cause"]) == ("register_unclear", str(desk.register.error))
    assert desk.events()[-1] == (ANSWERED, "register_unclear")
    desk.cases.retry(str(desk.case()["id"]))
    login(desk)
    desk.register.error = RegisterRefused("no agreement", "person_register.certificate")
    for _ in range(48):
        desk.run()
        desk.world.now += timedelta(hours=1)
    assert len(desk.owed()) == 1


def test_an_error_that_nobody_planned_for_stops_nobody_else(desk: Desk) -> None:
    """It is raised and the look-up put off: the next is asked, and the first not every two seconds."""
    desk.enrol()
    desk.world.live.want(desk.world.wish(register=RULE, cpr="0303990000"))
    desk.world.settle()
    desk.register.error = ValueError("of a register of somebody else's")
    for _ in range(100):
        with suppress(ValueError):
            desk.run()
        desk.world.now += timedelta(seconds=2)
    assert set(desk.register.asked) == {CPR, "0303990000"}
    assert len(desk.register.asked) < 10
    assert len(desk.owed()) == 2


def test_an_enrolment_that_cannot_be_read_is_come_back_to(desk: Desk) -> None:
    """What a newer release or a broken disk wrote keeps its own look-up waiting, and no other."""
    desk.enrol()
    key = person_key(desk.world.links.of_cpr(CPR))
    kept = desk.world.store.get(key, desk.world.now)
    desk.world.store.put(key, kept._replace(value=b"\xff{}", version="2"), kept.version, desk.world.now)
    with pytest.raises(RecordUnreadable):
        desk.run()
    assert (desk.run(), len(desk.owed())) == (0, 1)


def raising(error: Exception) -> Any:
    """Give what raises."""

    def fail(*_: object) -> None:
        raise error

    return fail


def test_the_dead_get_no_mail_and_are_a_case(desk: Desk) -> None:
    """A PIN that is owed is owed no more; the number leads to a person who is let in nowhere, until staff say so."""
    desk.world.links.by_cpr(desk.world.links.of_cpr(CPR))
    desk.world.post.down = True
    desk.enrol()
    desk.world.post.down = False
    desk.register.person = replace(PERSON, residence=Residence.DEAD, address=None)
    desk.run()
    desk.world.settle()
    assert (desk.world.post.sent, desk.case()["reason"], desk.case()["borrowers"]) == ([], "person_dead", ("1",))
    logins = Logins(desk.world)
    arrived = logins.arrived()
    assert logins.persons().person(logins.persons().names(arrived)).case == "person_dead"
    assert desk.cases.retry(str(desk.case()["id"]))
    assert logins.persons().person(logins.persons().names(arrived)).case is None
    assert desk.world.live.stored(CPR).registered is None  # the next login asks again


@pytest.mark.parametrize("has_another", [False, True])
def test_a_changed_number_is_a_case_and_never_a_second_account(desk: Desk, *, has_another: bool) -> None:
    """By the new number alone nobody is let in to a borrower yet; where it has one, staff see both."""
    old, new = map(desk.world.links.of_cpr, (CPR, NEW))
    person = desk.world.links.by_cpr(old).id
    desk.enrol()
    if has_another:
        desk.world.links.by_cpr(new)
        desk.world.library.add(NEW, Borrower("9", "STUD"))
    desk.register.person = replace(PERSON, residence=Residence.NUMBER_CHANGED, address=None, current_number=NEW)
    desk.run()
    case = desk.case()
    assert (case["reason"], case["borrowers"]) == ("cpr_number_changed", ("1", "9") if has_another else ("1",))
    assert NEW not in repr(case)
    holder = desk.world.links.holder_of(new)
    assert (holder.id == person, holder.barred) == (not has_another, None if has_another else "cpr_number_changed")
    assert desk.cases.retry(str(case["id"]))
    assert desk.world.links.holder_of(new).barred is None


def changed_number(desk: Desk) -> Any:
    """Enrol somebody whose number is found to be changed; give the case."""
    desk.world.links.by_cpr(desk.world.links.of_cpr(CPR))
    desk.enrol()
    there = desk.world.library.borrowers["1"]
    desk.world.library.borrowers["1"] = replace(there, cpr=CPR)
    desk.register.person = replace(PERSON, residence=Residence.NUMBER_CHANGED, address=None, current_number=NEW)
    desk.run()
    return desk.case()


def test_a_confirmed_number_is_given_to_the_borrower(desk: Desk) -> None:
    """By the worker, once staff have named the borrower that they looked at; then the new number leads there."""
    case = changed_number(desk)
    assert not desk.cases.confirm(str(case["id"]), "2")
    assert desk.cases.confirm(str(case["id"]), "1")
    desk.world.hooks.after["change"] = raising(LibraryUnavailable("the answer was lost"))
    desk.run()
    desk.world.now += timedelta(minutes=5)
    desk.run()
    assert desk.world.library.borrowers["1"].cpr == NEW
    assert desk.events()[-1] == (ANSWERED, "number_given")
    assert (desk.register.asked, desk.owed()) == ([CPR], [])
    assert [row["state"] for row in desk.cases.rows()] == ["done"]
    assert not desk.world.links.is_barred(NEW)
    assert desk.world.known(desk.world.wish(cpr=NEW)).number == "1"


def test_a_number_that_has_a_borrower_by_then_is_given_to_nobody(desk: Desk) -> None:
    """The two are one case, and staff merge them."""
    case = changed_number(desk)
    desk.world.library.add(NEW, Borrower("9", "STUD", cpr=NEW))
    assert desk.cases.confirm(str(case["id"]), "1")
    desk.run()
    assert (desk.case()["borrowers"], desk.world.library.borrowers["1"].cpr) == (("1", "9"), CPR)


def test_a_library_system_that_refuses_the_number_is_told_in_the_case(desk: Desk) -> None:
    """It is not tried for a month: staff write it there, and say retry."""
    case = changed_number(desk)
    assert desk.cases.confirm(str(case["id"]), "1")
    desk.world.hooks.before["change"] = raising(LibraryRefused("change: staff change it in Alma"))
    desk.run()
    assert (desk.case()["cause"], desk.owed()) == ("change: staff change it in Alma", [])
    assert desk.world.links.is_barred(NEW)


@pytest.mark.parametrize("decision", ["retry", "end"])
def test_a_case_that_staff_decide_otherwise_keeps_no_number(desk: Desk, decision: str) -> None:
    """The new number is let in, and the next login is looked up again after a retry."""
    case = changed_number(desk)
    assert getattr(desk.cases, decision)(str(case["id"]))
    assert (desk.owed(), desk.world.links.is_barred(NEW)) == ([], False)
    assert not desk.cases.confirm(str(case["id"]), "1")
    login(desk)
    assert len(desk.owed()) == (decision == "retry")


def test_the_dead_stay_out_when_staff_end_the_case(desk: Desk) -> None:
    """It is listed no more, and nobody gets in by the number all the same."""
    desk.world.links.by_cpr(desk.world.links.of_cpr(CPR))
    desk.enrol()
    desk.register.person = replace(PERSON, residence=Residence.DEAD, address=None)
    desk.run()
    assert desk.cases.end(str(desk.case()["id"]))
    assert desk.world.links.is_barred(CPR)


def test_the_dead_do_not_come_back_by_number_and_pin(desk: Desk) -> None:
    """Whatever staff do with the number on the record; after a retry they are let in."""
    desk.world.links.by_cpr(desk.world.links.of_cpr(CPR))
    desk.enrol()
    library = desk.world.library
    there = library.borrowers["1"] = replace(library.borrowers["1"], cpr=CPR)
    desk.register.person = replace(PERSON, residence=Residence.DEAD, address=None)
    desk.run()
    persons = Logins(desk.world).persons()
    emptied = library.borrowers["1"] = replace(there, cpr=None)
    persons.verified(emptied)
    assert persons.person(PersonNames("1")).case == "person_dead"
    known = persons.known(PersonNames("1"))
    assert known
    assert (known.case, desk.world.links.is_barred(None, "1")) == ("person_dead", True)
    library.borrowers["1"] = there
    library.add(CPR, Borrower("9", "STUD", cpr=CPR))
    persons.verified(there)
    assert persons.person(PersonNames("1")).case == "person_dead"
    assert desk.cases.retry(str(desk.case()["id"]))
    assert persons.person(PersonNames("1")).case is None


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_record_that_staff_took_the_number_off_is_a_strangers(desk: Desk, *, confirmed: bool) -> None:
    """It had been mistyped there: while the look-up waits it is taken off, and nothing is written to the record."""
    if confirmed:
        assert desk.cases.confirm(str(changed_number(desk)["id"]), "1")
    else:
        desk.enrol()
    library = desk.world.library
    library.borrowers["1"] = stranger = replace(library.borrowers["1"], cpr=None, mark=None)
    library.cprs.clear()
    desk.run()
    assert (library.borrowers["1"], desk.events()[-1]) == (stranger, (ANSWERED, "no_borrower"))


def test_a_borrower_whose_number_the_library_system_does_not_show_is_found_by_it(desk: Desk) -> None:
    """One that staff made: it has no mark of ours."""
    desk.enrol()
    library = desk.world.library
    library.borrowers["1"] = replace(library.borrowers["1"], cpr=None, mark=None)
    desk.run()
    assert desk.events()[-1] == (ANSWERED, "written")


@pytest.mark.parametrize("queued", [False, True])
def test_a_new_number_that_somebody_came_by_makes_no_second_account(desk: Desk, *, queued: bool) -> None:
    """By a service without accounts, or with a wish that waits for the library system."""
    world = desk.world
    world.links.by_cpr(world.links.of_cpr(NEW))
    case = changed_number(desk)
    assert world.links.holder_of(world.links.of_cpr(NEW)).barred == "cpr_number_changed"
    if queued:
        world.live.want(world.wish(cpr=NEW))
        world.settle()
        waiting = world.live.stored(NEW)
        assert (waiting.state, waiting.reason) == (EnrolmentState.CASE, "cpr_number_changed")
        shown = desk.cases.show(waiting.id)
        assert shown
        assert str(shown["retry_would"]).startswith("It looks again")
    assert desk.cases.confirm(str(case["id"]), "1")
    desk.run()
    world.live.want(world.wish(cpr=NEW))
    world.settle()
    assert (list(world.library.borrowers), world.live.stored(NEW).number) == (["1"], "1")


CHANGED: Final = replace(PERSON, residence=Residence.NUMBER_CHANGED, address=None)


def named(desk: Desk, cpr: str) -> Any:
    """Log somebody in by one name of a university, with a CPR number; give their person."""
    persons = Logins(desk.world).persons()
    links = desk.world.links
    return persons.person(PersonNames(cpr=links.of_cpr(cpr), own=links.of_name("eppn au", "aase@au.dk")))


@pytest.mark.parametrize("before", [False, True], ids=["came after the answer", "came before it"])
def test_a_new_number_that_the_register_keeps_to_itself_makes_no_second_account(desk: Desk, *, before: bool) -> None:
    """A name that came with the old one tells it, whichever is first; the case says so, and staff let them in again."""
    world = desk.world
    named(desk, CPR)
    desk.enrol()
    if before:
        assert named(desk, NEW).case is None
    desk.register.person = CHANGED
    desk.run()
    assert named(desk, NEW).case == "cpr_number_changed"
    assert named(desk, NEW).case == "cpr_number_changed"  # nor at the next login
    world.live.want(world.wish(cpr=NEW))
    world.settle()
    waiting = world.live.stored(NEW)
    assert (waiting.state, waiting.reason) == (EnrolmentState.CASE, "cpr_number_changed")
    assert list(world.library.borrowers) == ["1"]
    [case] = [row for row in desk.cases.rows() if (row["state"], row["borrowers"]) == ("case", ("1",))]
    assert NEW not in repr(case)
    assert not desk.cases.confirm(str(case["id"]), "1")  # nobody has kept the number: staff write it there
    assert desk.cases.retry(str(case["id"]))
    assert named(desk, NEW).case is None


def test_a_name_that_comes_while_the_case_is_written_makes_no_second_account(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login lists its notice before it looks for the case, the answer its case before it looks for notices."""
    named(desk, CPR)
    desk.enrol()
    plain = desk.world.store.put
    let_in: list[Any] = []

    def put(key: Key, *given: Any, **how: Any) -> Any:
        if key.name == "register" and not let_in:
            let_in.append(named(desk, NEW).case)
        return plain(key, *given, **how)

    monkeypatch.setattr(desk.world.store, "put", put)
    desk.register.person = CHANGED
    desk.run()
    assert let_in == [None]
    assert named(desk, NEW).case == "cpr_number_changed"
    assert desk.cases.retry(str(desk.case()["id"]))
    assert named(desk, NEW).case is None


def test_a_number_that_the_case_names_already_is_barred_by_the_next_try(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may be lost between the two writes: nobody comes by a number that staff see held back."""
    named(desk, CPR)
    desk.enrol()
    named(desk, NEW)
    desk.register.person = CHANGED
    with monkeypatch.context() as lost:
        lost.setattr(PersonLinks, "hold_back", lambda *_: raising(StoreUnavailable("lost"))())
        with pytest.raises(StoreUnavailable):
            desk.run()
    desk.world.now += timedelta(hours=2)
    desk.run()
    assert named(desk, NEW).case == "cpr_number_changed"


@pytest.mark.parametrize("written", range(5))
def test_a_death_between_the_writes_of_a_login_loses_no_bar(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """After each: the name's link, that of the number, the notice, the case. The next login tells what is untold."""
    world = desk.world
    named(desk, CPR)
    desk.enrol()
    desk.register.person = CHANGED
    desk.run()
    plain, writes = world.store.put, iter(range(written))

    def put(*given: Any, **how: Any) -> Any:
        if next(writes, None) is None:
            raise StoreUnavailable("dead")
        return plain(*given, **how)

    with monkeypatch.context() as dying:
        dying.setattr(world.store, "put", put)
        with pytest.raises(StoreUnavailable):
            named(desk, NEW)
    assert named(desk, NEW).case == "cpr_number_changed"
    assert [row["state"] for row in desk.cases.rows()].count("notice") == 1
    world.live.want(world.wish(cpr=NEW))
    world.settle()
    assert list(world.library.borrowers) == ["1"]


@pytest.mark.parametrize("before", [False, True], ids=["came after the answer", "came before it"])
@pytest.mark.parametrize("decision", ["retry", "end"])
def test_of_several_numbers_that_may_be_the_new_one_each_is_held_back(
    desk: Desk, *, before: bool, decision: str
) -> None:
    """Nobody knows which it is: none makes a second account, and staff who decide the case let all of them in."""
    world = desk.world
    candidates = (NEW, "0303990000", "0404990000")
    named(desk, CPR)
    desk.enrol()
    if before:
        by_names(desk, candidates)
    desk.register.person = CHANGED
    desk.run()
    assert set(by_names(desk, candidates)) == {"cpr_number_changed"}
    for cpr in candidates:
        world.live.want(world.wish(cpr=cpr))
    world.settle()
    assert list(world.library.borrowers) == ["1"]
    [case] = [row for row in desk.cases.rows() if (row["state"], row["borrowers"]) == ("case", ("1",))]
    assert not [cpr for cpr in candidates if cpr in repr(case)]
    assert getattr(desk.cases, decision)(str(case["id"]))
    assert set(by_names(desk, candidates)) == {None}


def by_names(desk: Desk, cprs: tuple[str, ...]) -> list[str | None]:
    """Log each number in by a name of its own that came with the old one before; give why each is held back."""
    links, persons = desk.world.links, Logins(desk.world).persons()
    old = links.of_cpr(CPR)
    found = []
    for place, cpr in enumerate(cprs):
        own = links.of_name("eppn au", f"name{place}@au.dk")
        if links.cpr(own) is None:
            links.by_cpr(old, own)
        found.append(persons.person(PersonNames(cpr=links.of_cpr(cpr), own=own)).case)
    return found


def test_the_number_that_the_register_tells_at_last_lets_no_guess_in(desk: Desk) -> None:
    """One of them may be the person's of the time between: each is barred until staff decide."""
    named(desk, CPR)
    desk.enrol()
    desk.register.person = CHANGED
    desk.run()
    by_names(desk, ("0303990000", "0404990000"))
    desk.register.person = replace(CHANGED, current_number=NEW)
    desk.world.now += REFRESH + timedelta(days=1)
    login(desk)
    desk.run()
    links = desk.world.links
    numbers = (NEW, "0303990000", "0404990000")
    assert [links.is_barred(cpr) for cpr in numbers] == [True, True, True]
    assert desk.cases.retry(str(desk.case()["id"]))
    assert [links.is_barred(cpr) for cpr in numbers] == [False, False, False]


def test_what_a_name_had_is_told_once(desk: Desk) -> None:
    """Staff who have ended the notice see no other, however often the name comes with the number."""
    named(desk, CPR)
    named(desk, NEW)
    [notice] = [row for row in desk.cases.rows() if row["state"] == "notice"]
    assert desk.cases.end(str(notice["id"]))
    named(desk, NEW)
    assert list(desk.cases.rows()) == []


@pytest.mark.parametrize("before", [False, True], ids=["came after the answer", "came before it"])
def test_the_next_holder_of_a_name_who_has_a_borrower_is_let_in(desk: Desk, *, before: bool) -> None:
    """They are somebody else, or staff have two borrowers to merge: no second one is to be feared."""
    named(desk, CPR)
    desk.enrol()
    desk.world.live.want(desk.world.wish(cpr=NEW))
    desk.world.settle()
    assert desk.world.live.stored(NEW).number == "2"
    if before:
        assert named(desk, NEW).case is None
    desk.register.person = CHANGED
    desk.run()
    assert named(desk, NEW).case is None
    assert not desk.world.links.is_barred(NEW)


def test_the_next_holder_of_a_name_is_nobody_but_themselves(desk: Desk) -> None:
    """Held back for a case of the holder before, and let in again: by no guess does anybody get another's id."""
    first = named(desk, CPR)
    desk.enrol()
    named(desk, NEW)
    links = desk.world.links
    links.forget(links.of_cpr(NEW))  # its link has ended by then, the notice has not
    desk.register.person = CHANGED
    desk.run()
    [case] = [row for row in desk.cases.rows() if (row["state"], row["borrowers"]) == ("case", ("1",))]
    assert desk.cases.end(str(case["id"]))
    assert named(desk, NEW).id != first.id


def test_the_name_of_somebody_whose_number_still_holds_bars_nobody(desk: Desk) -> None:
    """It has another holder by now, or the register says nothing of a change."""
    named(desk, CPR)
    desk.enrol()
    desk.run()
    assert named(desk, NEW).case is None
    assert not desk.world.links.is_barred(NEW)


def test_no_account_is_made_by_a_number_that_is_in_force_no_more(desk: Desk) -> None:
    """Staff may have merged its borrower away by then: a case, whether the register tells the new number or not."""
    world = desk.world
    desk.enrol()
    desk.register.person = CHANGED
    desk.run()
    del world.library.borrowers["1"], world.library.cprs["1"]
    world.now += timedelta(hours=2)
    world.live.want(world.wish())
    refused = world.settle()
    assert (refused.state, refused.reason) == (EnrolmentState.CASE, "cpr_number_changed")
    assert world.library.borrowers == {}
    [case] = [row for row in desk.cases.rows() if row["borrowers"] == ("1",)]
    assert desk.cases.end(str(case["id"]))
    assert desk.cases.retry(refused.id)
    assert world.settle().number == "1"


def test_what_keeps_a_borrower_from_being_made_costs_one_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar, the case and the pause of creates are read together, and after the look that found nobody."""
    world = desk.world
    turns: list[str] = []

    def counted(plain: Callable[..., Any]) -> Callable[..., Any]:
        def read(*given: Any) -> Any:
            turns.append("read")
            return plain(*given)

        return read

    for name in ("get", "get_many"):
        monkeypatch.setattr(world.store, name, counted(getattr(world.store, name)))
    world.hooks.every = turns.append
    world.live.want(world.wish())
    world.settle()
    after = turns[turns.index("find") + 1 : turns.index("create")]
    assert after[: after.index("put")].count("read") == 1


def test_a_number_that_the_register_says_holds_makes_an_account_again(desk: Desk) -> None:
    """It was wrong, and staff said retry: once it says otherwise a borrower that is deleted is made anew."""
    world, library = desk.world, desk.world.library
    library.add(CPR, Borrower("8", "STUD", cpr=CPR))
    desk.enrol()
    desk.register.person = replace(CHANGED, current_number=NEW)
    desk.run()
    assert desk.cases.retry(str(desk.case()["id"]))
    desk.register.person = PERSON
    login(desk)
    desk.run()
    del library.borrowers["8"], library.cprs["8"]
    world.now += timedelta(hours=2)
    world.live.want(world.wish())
    assert world.settle().state is EnrolmentState.DONE
    assert len(library.borrowers) == 1


def test_a_new_number_of_another_birth_date_waits_for_staff(desk: Desk) -> None:
    """They correct the date in the library system, and confirm again: no login is refused for it later."""
    case = changed_number(desk)
    library = desk.world.library
    library.borrowers["1"] = replace(library.borrowers["1"], born=date(1999, 1, 1))
    assert desk.cases.confirm(str(case["id"]), "1")
    desk.run()
    assert (library.borrowers["1"].cpr, "date of birth" in desk.case()["cause"]) == (CPR, True)
    library.borrowers["1"] = replace(library.borrowers["1"], born=date(1999, 2, 2))
    assert desk.cases.confirm(str(case["id"]), "1")
    desk.run()
    assert (library.borrowers["1"].cpr, desk.events()[-1]) == (NEW, (ANSWERED, "number_given"))


def test_a_number_that_was_not_given_is_explained_in_the_case(desk: Desk) -> None:
    """The borrower has another's by now, or nothing came of it for thirty days."""
    case = changed_number(desk)
    library = desk.world.library
    there = library.borrowers["1"]
    assert desk.cases.confirm(str(case["id"]), "1")
    library.borrowers["1"] = replace(there, cpr="0303990000")
    desk.run()
    assert desk.case()["cause"] == "the borrower is gone, or not this person's by now"


def test_a_number_that_is_confirmed_too_late_is_given_to_nobody(desk: Desk) -> None:
    """Staff hear so at once; of one that was confirmed in time, and not given for all that, the case says so."""
    case = changed_number(desk)
    assert desk.cases.confirm(str(case["id"]), "1")
    desk.world.now += timedelta(days=30)
    assert not desk.cases.confirm(str(case["id"]), "1")
    desk.run()
    assert (desk.events()[-1], "thirty days" in desk.case()["cause"]) == ((ANSWERED, "given_up"), True)


def test_a_later_answer_lets_no_number_in_and_leaves_none_barred_for_ever(desk: Desk) -> None:
    """The case keeps each number that was told, whatever the register says next, until staff decide it."""
    changed_number(desk)
    links = desk.world.links
    changed_again = replace(PERSON, residence=Residence.NUMBER_CHANGED, address=None, current_number="0303990000")
    for answer in (None, changed_again):
        desk.world.now += REFRESH + timedelta(days=1)
        desk.register.person = answer
        login(desk)
        desk.run()
        assert links.is_barred(NEW)
    assert links.is_barred("0303990000")
    assert desk.cases.retry(str(desk.case()["id"]))
    assert [links.is_barred(each) for each in (NEW, "0303990000")] == [False, False]


def test_a_number_that_two_cases_name_is_barred_until_both_are_decided(desk: Desk) -> None:
    """Two numbers of one person became a third."""
    world = desk.world
    for cpr in (CPR, "0303990000"):
        world.links.by_cpr(world.links.of_cpr(cpr))
        desk.enrol(cpr=cpr)
    desk.register.person = replace(PERSON, residence=Residence.NUMBER_CHANGED, address=None, current_number=NEW)
    desk.run()
    cases = [row for row in desk.cases.rows() if row["state"] == "case"]
    barred = []
    for case in cases:
        desk.cases.end(str(case["id"]))
        barred.append(world.links.is_barred(NEW))
    assert barred == [True, False]


def test_a_protected_address_reaches_the_library_system_only_where_it_may(desk: Desk) -> None:
    """Off by default; no record, event or line holds it either way."""
    desk.register.person = replace(PERSON, protected=True)
    desk.enrol()
    desk.run()
    assert "address" not in desk.fields()
    desk.world.now += REFRESH
    login(desk)
    desk.another_loop(to_library=True).step()
    assert desk.fields()["address"] == "Skjultvej 7"
    kinds = ("enrolment", "register", "link", "lease", "letter", "pin")
    records = b"".join(kept.value for kind in kinds for _, kept in desk.world.store.list(kind, None, desk.world.now))
    shown = records.decode() + repr(desk.trail.events) + repr(desk.told) + repr(list(desk.cases.rows()))
    assert "Skjultvej" not in shown
    assert "Skjultvej" not in repr(desk.world.post.sent)


@pytest.mark.parametrize("to_library", [False, True])
def test_an_address_of_before_its_protection_is_a_case(desk: Desk, *, to_library: bool) -> None:
    """With no word of it in case, trail or log; nothing of it is changed, and nobody waits."""
    desk.enrol()
    desk.run()
    desk.register.person = replace(PERSON, protected=True)
    desk.world.now += REFRESH
    login(desk)
    desk.another_loop(to_library=to_library).step()
    assert desk.fields()["address"] == "Skjultvej 7"
    assert desk.events()[-1] == (ANSWERED, "unchanged" if to_library else "protected_address_there")
    cases = [row for row in desk.cases.rows() if row["state"] == "case"]
    assert [(row["reason"], row["borrowers"]) for row in cases] == [("protected_address_there", ("1",))][to_library:]
    shown = repr(cases) + repr(desk.trail.events) + repr(desk.told)
    assert not [word for word in ("Skjultvej", "8000", "Aarhus C") if word in shown]
    logins = Logins(desk.world)
    assert logins.persons().person(logins.persons().names(logins.arrived())).case is None


def test_what_staff_write_while_we_look_stays(desk: Desk) -> None:
    """Between the look and the write too: whose the borrower is may take a search, and they write meanwhile."""
    desk.enrol()
    library = desk.world.library
    library.borrowers["1"] = replace(library.borrowers["1"], cpr=None, mark=None)

    def staff_write() -> None:
        there = library.borrowers["1"]
        library.borrowers["1"] = replace(there, fields={**there.fields, "address": "Skrankegade 1"})

    desk.register.meanwhile = lambda: desk.world.hooks.after.update(find=staff_write)
    desk.run()
    assert (desk.fields()["address"], "city" in desk.fields()) == ("Skrankegade 1", False)
    assert desk.events()[-1] == (ANSWERED, "unchanged")


def test_two_workers_look_nobody_up_twice(desk: Desk) -> None:
    """The second finds nothing due while the first waits for the register."""
    desk.enrol()
    second: list[bool] = []
    desk.register.meanwhile = lambda: second.append(desk.another_loop().step())
    assert (desk.run(), second, len(desk.register.asked)) == (1, [False], 1)


def test_a_look_up_that_takes_long_is_nobody_elses(desk: Desk) -> None:
    """Both leases are held anew before each call: whoever forgets the person waits for its end, too."""
    desk.enrol()
    second: list[bool] = []

    def slow() -> None:
        desk.world.now += timedelta(seconds=14)
        second.append(desk.another_loop().step())

    desk.register.meanwhile = slow
    desk.world.hooks.before["read"] = slow
    desk.world.hooks.before["change"] = slow
    assert (desk.run(), second, len(desk.register.asked)) == (1, [False] * 3, 1)


def test_a_look_up_waits_for_whoever_is_at_the_enrolment(desk: Desk) -> None:
    """Two changes of one borrower do not cross."""
    desk.enrol()
    place = lease_of(Key("enrolment", desk.world.links.of_cpr(CPR)))
    desk.world.store.put(place, Kept(b"", "t", desk.world.now + timedelta(seconds=20)), None, desk.world.now)
    desk.loop.step()
    assert (desk.register.asked, len(desk.owed())) == ([], 1)
    desk.world.now += timedelta(seconds=60)
    assert (desk.run(), len(desk.register.asked)) == (1, 1)


def test_a_borrower_that_is_gone_or_anothers_by_now_is_left_alone(desk: Desk) -> None:
    """The look-up ends, and nothing is written to whoever has the number."""
    number = desk.enrol()
    there = desk.world.library.borrowers[number]
    desk.world.library.borrowers[number] = replace(there, cpr=NEW)
    desk.run()
    assert (desk.events()[-1], "address" in desk.fields()) == ((ANSWERED, "no_borrower"), False)


def test_an_owed_look_up_shows_no_number(desk: Desk) -> None:
    """By no repr; its record is sealed as all are, and goes with the answer."""
    desk.enrol()
    (kept,) = desk.owed()
    assert CPR.encode() in kept.value
    desk.run()
    assert CPR.encode() not in dump(desk.world.live.stored(CPR))


class Interleavings(RuleBasedStateMachine):
    """A register that goes down and up, staff who edit, a person who is forgotten, and two workers."""

    empty: ClassVar[Path]

    @initialize()
    def open(self) -> None:
        """Begin with somebody who is enrolled and to be looked up."""
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "broker.db"
        copy(self.empty, path)
        self.desk = Desk(World(path))
        self.desk.enrol()
        self.second = self.desk.another_loop()
        self.edited: str | None = None
        self.forgotten = False

    @rule(down=st.booleans())
    def turned(self, down: bool) -> None:
        """Let the register go down, or up."""
        self.desk.register.error = RegisterUnavailable("down") if down else None

    @rule(text=st.sampled_from(["Gammelvej 1", ""]))
    def edited_by_staff(self, text: str) -> None:
        """Let staff write an address, or take it out."""
        library = self.desk.world.library
        there = library.borrowers["1"]
        library.borrowers["1"] = replace(there, fields={**there.fields, "address": text, "postal_code": "", "city": ""})
        self.edited = text or None

    @rule(second=st.booleans(), seconds=st.integers(0, 7200))
    def worked(self, second: bool, seconds: int) -> None:
        """Let time pass, and a worker do one thing."""
        self.desk.world.now += timedelta(seconds=seconds)
        (self.second if second else self.desk.loop).step()

    @rule()
    def logged_in(self) -> None:
        """Let the person come again."""
        if not self.forgotten:
            login(self.desk)

    @rule()
    def was_forgotten(self) -> None:
        """Drop everything that the store has of the person."""
        owner = self.desk.world.links.of_cpr(CPR)
        for kind in ("register", "enrolment"):
            self.desk.world.store.drop(Key(kind, owner))
        self.forgotten = True

    @invariant()
    def staff_are_obeyed(self) -> None:
        """Keep what staff wrote, and whoever was forgotten away."""
        assert self.edited in {None, self.desk.fields().get("address")}
        if self.forgotten:
            assert self.desk.world.live.stored(CPR) is None
            assert self.desk.owed() == []

    @invariant()
    def asked_is_written_down(self) -> None:
        """Write a line for every call of the register."""
        assert len(self.desk.register.asked) == len([each for each in self.desk.events() if each[0] is ASKED])

    def teardown(self) -> None:
        """Whoever is not forgotten gets an address once the register is up: none is lost."""
        self.desk.register.error = None
        for _ in range(3):
            self.desk.world.now += timedelta(hours=4)
            self.desk.run()
        if not self.forgotten:
            stored = self.desk.world.live.stored(CPR)
            assert (stored.state, self.desk.owed()) == (EnrolmentState.DONE, [])
            assert stored.registered is not None
        for connection in self.desk.world.store._connections.idle:
            connection.close()
        self.folder.cleanup()


def test_no_interleaving_loses_a_look_up_or_overwrites_the_staff(empty_store: Path) -> None:
    """Whatever goes down, is edited, comes again or is forgotten between two steps of two workers."""
    Interleavings.empty = empty_store
    run_state_machine_as_test(
        Interleavings, settings=settings(max_examples=drawn(25), stateful_step_count=12, deadline=None)
    )


def test_every_outcome_that_is_a_case_has_its_advice(desk: Desk) -> None:
    """Staff read what to do, and what a retry would."""
    desk.register.person = None
    desk.enrol()
    desk.run()
    shown = desk.cases.show(str(desk.case()["id"]))
    assert shown
    assert (shown["reason"], shown["cause"]) == (LookUpOutcome.UNCLEAR.value, "the register knows no such number")
    assert "asked again at their next login" in str(shown["retry_would"])
