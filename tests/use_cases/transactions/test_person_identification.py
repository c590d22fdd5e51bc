"""The person of a login: of its CPR number, its library account or its identifier."""

from dataclasses import replace
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.identity.person_id import (
    IDENTIFIER_TYPES,
    NAME_ID,
    compute_person_id_of_borrower,
    compute_person_id_of_cpr,
)
from broker.core.identity.rights import Ground
from broker.core.login.authentication_reading import display_name, make_pin_authentication
from broker.core.login.transaction import Authentication, Person
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, Effect, PolicySet
from broker.use_cases.transactions.evaluated_login import EvaluatedLogin
from broker.use_cases.transactions.person_identification import PersonIdentification, compute_person_id
from tests.use_cases.conftest import World

CPR, REPLACEMENT = "0101990000", "6101990000"
HMACS: Final = LookupHmacs("i1", b"k" * 32)
Said = dict[str, str]


class Desk:
    """Logins by their attributes, and by PIN; ``led`` are the borrowers that persons were led to."""

    def __init__(self, world: World) -> None:
        self.now = world.now
        self.led: set[tuple[str, str]] = set()
        self.persons = PersonIdentification(HMACS, lambda person_id, number: (person_id, number) in self.led)

    def read_login(self, said: Said, ground: Ground, **facts: str) -> EvaluatedLogin:
        """Give what the flow would hand over."""
        came = Authentication("wayf", "hub", "https://au.example", (), (), self.now, None, self.now, self.now, **facts)  # type: ignore[arg-type]
        return self._read_login(came, said, ground)

    def read(self, said: Said, **facts: Any) -> tuple[Authentication, AttributeReading]:
        """Return an authentication without a usable number, and its attributes."""
        login = self.read_login(said, Ground.NOTHING, **facts)
        return login.authentication, login.reading

    def come(self, said: Said, ground: Ground = Ground.IDENTIFIER, **facts: str) -> Person:
        """Log in with an upstream."""
        person = self.persons.identify(self.read_login(said, ground, **facts))
        assert person
        return person

    def come_by_pin(self, borrower: Borrower) -> Person:
        """Log in with the library account."""
        came = make_pin_authentication("pin", borrower, self.now, self.persons.find_cpr_person_of(borrower, self.now))
        person = self.persons.identify(self._read_login(came, {}, Ground.LIBRARY_ACCOUNT))
        assert person
        return person

    def _read_login(self, came: Authentication, said: Said, ground: Ground) -> EvaluatedLogin:
        values = {name: (value,) for name, value in said.items()}
        reading = AttributeReading(Attributes(values), None, "real" if "cpr" in said else "none", None, ground=ground)
        transaction: Any = None  # the person does not depend on it
        decision = Decision(Effect.PERMIT, (), ground=ground)
        return EvaluatedLogin(transaction, came, reading, decision, PolicySet((), ""))


@pytest.fixture
def desk(world: World) -> Desk:
    """Give logins of nobody yet."""
    return Desk(world)


def test_a_library_account_is_the_person_of_its_borrower_number(desk: Desk) -> None:
    """The number in its record may have been typed there by mistake, or be a stranger's."""
    person = desk.come_by_pin(Borrower("7", "STUD", cpr=CPR))
    assert person == Person(compute_person_id_of_borrower(HMACS, "7"), "7")


def test_a_library_account_is_the_person_who_was_led_to_it_by_the_number(desk: Desk) -> None:
    """To no other borrower, and not by a number that is no person's; the number itself goes no further."""
    holder = compute_person_id_of_cpr(HMACS, CPR)
    desk.led = {(holder, "7"), (compute_person_id_of_cpr(HMACS, REPLACEMENT), "8")}
    assert desk.come_by_pin(Borrower("7", "STUD", cpr=CPR)) == Person(holder, "7")
    assert desk.come_by_pin(Borrower("9", "STUD", cpr=CPR)).id != holder
    replaced = desk.come_by_pin(Borrower("8", "STUD", cpr=REPLACEMENT))
    assert replaced.id == compute_person_id_of_borrower(HMACS, "8")
    came = make_pin_authentication("pin", Borrower("7", "STUD", cpr=CPR), desk.now, holder)
    assert CPR not in str(came)


def test_an_identifier_is_a_person_of_its_own(desk: Desk) -> None:
    """Capitals make no other person, but for a NameID. A transient NameID names nobody."""
    first = desk.come({"eduPersonPrincipalName": "asta@au.dk"}, Ground.NOTHING)
    assert desk.come({"eduPersonPrincipalName": "Asta@AU.dk"}, Ground.NOTHING) == first
    named = [desk.come({}, name_id=value) for value in ("abc", "ABC", "abc")]
    assert (named[0] == named[2], named[0] == named[1]) == (True, False)
    transient = desk.read_login({}, Ground.NOTHING, name_id="abc", name_id_format="transient")
    assert not desk.persons.has_lasting_id(transient)


def test_the_first_identifier_of_the_list_counts(desk: Desk) -> None:
    """A further identifier of a lower rank changes nothing."""
    said: Said = {}
    ids = []
    for name in reversed(IDENTIFIER_TYPES):
        alone = {name: "same value"}
        said |= alone
        came = {"name_id": said.get(NAME_ID)}
        ids.append(compute_person_id(HMACS, *desk.read(said, **came)))
        assert ids[-1] == compute_person_id(HMACS, *desk.read(alone, name_id=alone.get(NAME_ID)))
    assert len(set(ids)) == len(IDENTIFIER_TYPES)


def test_an_identifier_is_good_within_its_institution_only(desk: Desk) -> None:
    """Two institutions may assert the same value."""
    came, reading = desk.read({"eduPersonPrincipalName": "asta@au.dk"})
    logins = (came, replace(came, institution="https://ku.example"), replace(came, upstream="campus"))
    assert len({compute_person_id(HMACS, each, reading) for each in logins}) == 3


def test_a_name_that_is_no_name_is_not_mailed(desk: Desk) -> None:
    """A mail says at whose request it comes."""
    said = {"gn": "Asta", "sn": "Ravn"}
    assert display_name(desk.read_login(said, Ground.NOTHING).reading) == "Asta Ravn"
    assert display_name(desk.read_login({"cn": "x" * 300}, Ground.NOTHING).reading) == ""
