"""Logins of invented persons, as their borrowers see them, and a audit log that keeps its events."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.entities import Assurance
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.identity.rights import Ground
from broker.core.login.transaction import Account, Person, Transaction
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import BorrowerRule, Decision, Effect, Field, Lowering, PolicySet
from broker.use_cases.enrolment.borrower_at_login import BorrowerAtLogin, Mode
from broker.use_cases.enrolment.find_borrower import BorrowerFinder
from broker.use_cases.enrolment.requests import EnrolmentRequests
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin
from broker.use_cases.transactions.person_identification import PersonIdentification
from tests.plugins.core_values import PLACE, REQUEST, make_authentication, make_policy, make_release

CPR: Final = "0101990000"
FIELDS: Final = (Field("surname", "sn", "always", PLACE), Field("email", "mail", "create", PLACE))
LOWERS: Final = Lowering(("wayf",), ("STUD", "EMPL"))
STUDENT: Final = BorrowerRule("STUD", ("PRIV",), Expiry(24), FIELDS, "mail", place=PLACE)
PRIVATE: Final = BorrowerRule("PRIV", (), Expiry(24), FIELDS, "mail", place=PLACE, lowers=LOWERS)
SAID: Final = {
    "eduPersonPrincipalName": "aase@au.example",
    "sn": "Prøvesen",
    "gn": "Åse",
    "mail": "aase@example.org",
    "cpr": CPR,
}


@dataclass
class Logins:
    """Logins in a world; ``enrolments`` wait by carrying out what is due."""

    world: Any

    def borrowers(self, mode: Mode = "live") -> BorrowerAtLogin:
        """Give the borrowers of logins, with a worker that works while somebody waits."""
        world = self.world
        requests = EnrolmentRequests(world.ports, world.wake, self._pause)
        finder = BorrowerFinder(world.ports)
        return BorrowerAtLogin(world.ports, requests, finder, mode)

    def persons(self) -> PersonIdentification:
        """Give the persons of logins."""
        return PersonIdentification(self.world.ports.hmacs, self.world.finder.has_borrower)

    def read_login(
        self, *without: str, borrower: Any = "make", rule: BorrowerRule | None = STUDENT, **decided: Any
    ) -> EvaluatedLogin:
        """Give a login ``without`` some attributes, at a service that asks for a borrower so."""
        now = self.world.now
        came = make_authentication(authn_instant=now, received=now, assertion_until=now)
        said = {name: (value,) for name, value in SAID.items() if name not in without}
        reading = AttributeReading(Attributes(said), Assurance.LOW, "real" if "cpr" in said else "none", None)
        release = make_release(borrower=borrower)
        policy = make_policy(borrower=rule, releases=(release,))
        permitted = Decision(
            Effect.PERMIT, (), policy=policy, release=release, ground=Ground.INSTITUTION, permits_creation=True
        )
        decision = replace(permitted, **decided)
        transaction: Any = None  # the account does not depend on it
        reading = replace(reading, ground=decision.ground)
        return EvaluatedLogin(transaction, came, reading, decision, PolicySet((), ""))

    def private(self, *without: str, **more: Any) -> EvaluatedLogin:
        """Give the login of a person whom the university no longer calls a student."""
        may = {"ground": Ground.ALUMNI, "permits_creation": False, "permits_lowering": True}
        given: dict[str, Any] = {"rule": PRIVATE, **may, **more}
        return self.read_login(*without, **given)

    def transaction(self, person: Person | None = None, **more: Any) -> Transaction:
        """Give a transaction that has just begun."""
        now = self.world.now
        begun = Transaction("t" * 32, "BCDFGHJK", now, now + timedelta(minutes=30), REQUEST)
        return replace(begun, person=person or Person("p"), **more)

    def account(self, transaction: Transaction, arrived: EvaluatedLogin, mode: Mode = "live") -> Account | None:
        """Give the account as it is found."""
        person = transaction.person
        record = self.world.ports.persons.read(person.id, self.world.now) if person else None
        return self.borrowers(mode).find_account(transaction, arrived, record)

    def enrol(
        self, transaction: Transaction, arrived: EvaluatedLogin, mode: Mode = "live", patience: float = 1
    ) -> Account:
        """Enrol, and wait."""
        borrowers = self.borrowers(mode)
        return borrowers.enrol(transaction, arrived, language="da", patience=patience)

    def student(self) -> Person:
        """Enrol a student with number 1."""
        person = Person(self.world.id_of(CPR))
        self.enrol(self.transaction(person), self.read_login())
        return person

    def _pause(self, seconds: float) -> None:
        self.world.slept(seconds)
        self.world.worker.step()


@pytest.fixture
def logins(world: Any) -> Logins:
    """Give logins in an empty world."""
    return Logins(world)
