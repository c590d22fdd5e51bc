"""Look-ups in the register of persons: requested, carried out in the background, and never repeated too soon."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.registered_person import (
    DEAD,
    NOT_ACTIVE,
    NUMBER_CHANGED,
    RegisteredAddress,
    RegisteredPerson,
    RegisterUnavailable,
)
from broker.core.errors import AuditUnavailable
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.identity.canonical_attributes import Attributes
from broker.core.login.transaction import AccountState
from broker.core.person_record import PersonRecord
from broker.core.policy.model import RegisterRule
from broker.use_cases.enrolment.register_look_ups import RegisterLookUps
from broker.use_cases.enrolment.worker import PersonWorker
from tests.use_cases.borrowers.conftest import CPR, STUDENT, Logins
from tests.use_cases.conftest import StoredAuditLog
from tests.use_cases.memory_library import AASE

REFRESH: Final = timedelta(days=90)
ADDRESS: Final = RegisteredAddress("", "Skjultvej 7", "", "8000", "Aarhus C")
PERSON: Final = RegisteredPerson(None, ADDRESS, protected=False)
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

    def check_setup(self, deadline: datetime) -> tuple[()]:
        """Find nothing wrong."""
        del deadline
        return ()


@dataclass
class Desk:
    """A world with a register and the worker that asks it."""

    world: Any
    audit_log: StoredAuditLog = field(default_factory=StoredAuditLog)
    register: Register = field(default_factory=Register)
    logged: list[BrokerEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open it all."""
        self.world.ports = replace(self.world.ports, asks_register=True, tell=self._tell)
        self.worker = self.another_worker()

    def another_worker(self) -> PersonWorker:
        """Give another worker."""
        return PersonWorker(self.world.ports, RegisterLookUps(self.world.ports, self.register))

    def _tell(self, event: BrokerEvent | AuditEvent) -> None:
        if isinstance(event, AuditEvent):
            self.audit_log.add(event)
        else:
            self.logged.append(event)

    def enrol(self, rule: RegisterRule | None = RULE, **more: Any) -> None:
        """Enrol the student."""
        self.world.requests.request("aase", self.world.make_wanted(register=rule, **more))
        while self._is_pending():
            self.world.worker.step()

    def request(self) -> None:
        """Ask for the look-up of the student, as a login does."""
        world = self.world
        now = world.now
        world.persons.change("aase", lambda each: each.request_look_up(CPR, "1", RULE, now), now)

    def _is_pending(self) -> bool:
        return self.record().enrolment_due is not None

    def run(self) -> int:
        """Carry out what is due now; give how many steps did something."""
        steps = 0
        while self.worker.step():
            steps += 1
        return steps

    def record(self) -> PersonRecord:
        """Give the record of the student."""
        record = self.world.persons.read("aase", self.world.now)
        assert record
        return record.value  # type: ignore[no-any-return]

    def events(self) -> list[tuple[AuditEventKind, str | None]]:
        """Give the events of look-ups in the audit log."""
        return [(each.kind, each.reason) for each in self.audit_log.events if each.kind in {ASKED, ANSWERED}]

    def fields(self) -> Any:
        """Give the fields of the student's borrower."""
        return self.world.library.borrowers["1"].fields


@pytest.fixture(name="desk")
def _desk(world: Any) -> Desk:
    return Desk(world)


@pytest.mark.parametrize("note", [DEAD, NUMBER_CHANGED, NOT_ACTIVE, None])
def test_a_number_that_is_not_active_writes_nothing_and_refuses_nobody(desk: Desk, note: str | None) -> None:
    """Staff find a note; the person logs in as before, and nobody is asked to decide anything."""
    desk.register.person = replace(PERSON, note=note) if note else None
    desk.enrol()
    desk.run()
    assert "address" not in desk.fields()
    assert desk.record().register_note == (note or NOT_ACTIVE)
    assert desk.events()[-1] == (ANSWERED, "not_active")
    assert desk.record().borrower_number == "1"
    assert desk.record().enrolment_due is None


def test_a_protected_address_is_never_written(desk: Desk) -> None:
    """The policy and an address in the register's answer do not change that."""
    desk.register.person = replace(PERSON, protected=True)
    desk.enrol(RegisterRule("always"))
    desk.run()
    assert not {"address", "postal_code", "city"} & set(desk.fields())
    assert (desk.record().register_note, desk.events()[-1]) == (None, (ANSWERED, "protected"))


def test_the_register_is_asked_at_most_every_90_days(desk: Desk) -> None:
    """The request is written when the answer of a login leaves."""
    logins = Logins(desk.world)
    rule = replace(STUDENT, register=RULE)
    arrived = logins.read_login(rule=rule)
    person = logins.student()
    desk.world.settle()
    for age, is_asked in ((timedelta(0), True), (REFRESH - timedelta(days=1), False), (REFRESH, True)):
        desk.world.now += age
        transaction = logins.transaction(person)
        account = logins.account(transaction, arrived)
        assert account
        record = desk.world.persons.read("aase", desk.world.now)
        logins.borrowers().request_look_up(replace(transaction, account=account), arrived, record)
        assert desk.run() == is_asked
    assert desk.register.asked == [CPR, CPR]


def test_while_the_register_does_not_answer_all_look_ups_rest(desk: Desk) -> None:
    """One call per pause shows that it is down; afterwards the address is written."""
    desk.register.error = RegisterUnavailable("down")
    desk.enrol()
    assert desk.run() == 1
    assert desk.run() == 0
    assert len(desk.register.asked) == 1
    [event] = desk.logged
    assert (event.kind, event.facts["cause"], event.facts["attempts"]) == (EventKind.REGISTER_DELAYED, "down", 1)
    desk.register.error = None
    desk.world.now += timedelta(minutes=10)
    assert desk.run() == 1
    assert desk.fields()["address"] == "Skjultvej 7"


def test_no_number_leaves_without_its_line_in_the_audit_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full stops the look-up, and it is tried again later."""
    desk.enrol()

    def refuse(_: AuditEvent) -> None:
        raise AuditUnavailable("disk full")

    with monkeypatch.context() as full:
        full.setattr(desk.audit_log, "add", refuse)
        desk.run()
    assert (desk.register.asked, bool(desk.record().register_look_up)) == ([], True)
    desk.world.now += timedelta(minutes=1)
    desk.run()
    assert desk.register.asked == [CPR]


@pytest.mark.parametrize("what", ["gone", "two", "another"])
def test_a_look_up_is_dropped_if_the_borrower_is_no_longer_the_persons(desk: Desk, what: str) -> None:
    """The number must lead to the borrower of the request, and to no other."""
    desk.enrol()
    library = desk.world.library
    if what != "two":
        library.borrowers["1"] = replace(library.borrowers["1"], cpr="0202990000")
    if what != "gone":
        library.add(AASE, CPR, number="2")
    desk.run()
    assert (desk.register.asked, desk.record().register_look_up) == ([], None)
    assert all("address" not in each.fields for each in library.borrowers.values())


def test_an_address_that_staff_write_meanwhile_stays(desk: Desk) -> None:
    """The borrower is read again after the answer."""
    desk.enrol()

    def write_address() -> None:
        there = desk.world.library.borrowers["1"]
        desk.world.library.borrowers["1"] = replace(there, fields={**there.fields, "address": "Skrankevej 1"})

    desk.register.meanwhile = write_address
    desk.run()
    assert (desk.fields()["address"], "city" in desk.fields()) == ("Skrankevej 1", False)


def test_a_failure_brings_no_deleted_person_back(desk: Desk) -> None:
    """The lease of the worker has ended, the person was deleted, and only then the register fails."""
    desk.enrol()
    desk.register.meanwhile = lambda: desk.world.persons.delete("aase", None, desk.world.now)
    desk.register.error = RegisterUnavailable("down")
    desk.run()
    assert desk.world.persons.read("aase", desk.world.now) is None


def test_a_look_up_shows_no_number(desk: Desk) -> None:
    """Neither by its name nor by that of the person's record."""
    desk.enrol()
    assert CPR not in repr(desk.record()) + repr(desk.record().register_look_up)


def test_a_reassigned_user_name_refuses_nobody_while_the_register_is_on(desk: Desk) -> None:
    """The former holder's number is not active any more; that concerns neither of the two at a login."""
    desk.register.person = replace(PERSON, note=NUMBER_CHANGED)
    desk.enrol()
    desk.run()
    assert desk.record().register_note == "number_changed"
    logins = Logins(desk.world)
    former = logins.read_login()
    other, values = "0202990000", dict(former.reading.attributes)
    reading = replace(former.reading, attributes=Attributes({**values, "cpr": (other,), "mail": ("new@example.org",)}))
    latter = replace(former, reading=reading)
    persons = [logins.persons().identify(each) for each in (former, latter)]
    assert persons[0] != persons[1]
    accounts = [
        logins.enrol(logins.transaction(person), arrived)
        for person, arrived in zip(persons, (former, latter), strict=True)
    ]
    desk.run()
    assert [account.state for account in accounts] == [AccountState.DONE] * 2
    assert [account.number for account in accounts] == ["1", "2"]
    assert desk.register.asked == [CPR]
