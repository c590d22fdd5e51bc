"""Whom the names of one login lead to: one person, or a case."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Authentication, Person
from broker.core.policy.model import Decision, Effect, PolicySet
from broker.core.ports import Key
from broker.flows.arrived_login import Arrived, Basis
from broker.flows.identity.person_resolution import _ALWAYS, PersonResolution

CPR, OTHER = "0101990000", "0202990000"
EPPN, UUID, NUMBER = "eduPersonPrincipalName", "cprUuid", "cpr"
ONE, ANOTHER = "6f1c0000-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000002"
AU, KU = "https://birk.wayf.dk/birk.php/idp.au.dk", "https://birk.wayf.dk/birk.php/idp.ku.dk"
Said = dict[str, str]
AASE: Said = {EPPN: "aase@au.example"}


class Desk:
    """Logins by their attributes."""

    def __init__(self, world: Any) -> None:
        self.world = world
        rules = ConfiguredEntities({}, {}, {}, lambda: PolicySet((), ""))
        self.persons = PersonResolution(rules, world.links, world.live)

    def given(self, said: Said, institution: str, *, sure: bool) -> Arrived:
        """Give what the flow would hand over."""
        came = Authentication("wayf", "hub", institution, (), (), self.world.now, None, self.world.now, self.world.now)
        reading = AttributeReading(
            Attributes({name: (value,) for name, value in said.items()}),
            Assurance.LOW,
            "real" if NUMBER in said else "none",
            None,
        )
        decision = Decision(Effect.PERMIT, (), may_find_by_cpr=sure)
        basis = Basis(came, (), "wayf", None, "my-loans", borrower=False)
        return Arrived(came, reading, decision, PolicySet((), ""), basis)

    def come(self, said: Said, institution: str = AU, *, sure: bool = True) -> Person:
        """Log in."""
        return self.persons.person(self.given(said, institution, sure=sure))

    def known(self, said: Said) -> Person | None:
        """Ask who it is without leaving anything."""
        return self.persons.known(self.given(said, AU, sure=True))

    def owner(self, said: Said, number: str = "7") -> Person:
        """Let a person with a CPR come and have a borrower; give what the next login knows."""
        self.come(said)
        self.world.links.remember(self.world.links.of_cpr(said[NUMBER]), number)
        return replace(self.come(said), number=number)

    def owners(self, said: Said, *, sure: bool = True) -> set[str]:
        """Ask under which pseudonyms proofs of who comes so may be kept."""
        return set(self.persons.owners(self.given(said, AU, sure=sure)))

    def cases(self) -> list[object]:
        """Give the borrowers of whom staff have a case."""
        return [row["linked"] for row in self.world.cases.rows() if row["reason"] == "cpr_changed"]


@pytest.fixture
def desk(world: Any) -> Desk:
    """Give the desk over an empty world."""
    return Desk(world)


@pytest.mark.parametrize("said", [AASE, {"subject-id": "aase@au.example"}, {"pairwise-id": "aase@au.example"}])
def test_a_name_is_good_within_its_institution_only(desk: Desk, said: Said) -> None:
    """Two institutions that assert the same name, or one that asserts the other's, have two people."""
    first = desk.owner({**said, NUMBER: CPR})
    assert desk.come(said) == first
    stranger = desk.come(said, KU)
    assert (stranger.id != first.id, stranger.number, stranger.case) == (True, None, None)


def test_a_cpr_uuid_is_one_persons_everywhere(desk: Desk) -> None:
    """The register's name is the same whoever asserts it, and however it is written."""
    first = desk.owner({UUID: ONE, NUMBER: CPR})
    assert desk.come({UUID: f"urn:uuid:{ONE.upper()}"}, KU) == first
    assert desk.come({UUID: ONE}, sure=False).id != first.id  # nobody's, where anybody may have typed it


@pytest.mark.parametrize("sure", [True, False])
@pytest.mark.parametrize("their", [{NUMBER: OTHER}, {}], ids=["a borrower", "nobody yet"])
def test_the_name_of_one_and_the_cpr_uuid_of_another_lead_to_neither(desk: Desk, their: Said, *, sure: bool) -> None:
    """One case with the borrower of the name; each goes on by what is theirs."""
    first = desk.owner({**AASE, NUMBER: CPR})
    if their:
        desk.owner({UUID: ANOTHER, **their}, "8")
    other = desk.come({UUID: ANOTHER})
    for _ in range(2):
        mixed = desk.come({**AASE, UUID: ANOTHER}, sure=sure)
        assert (mixed.case, mixed.number, mixed.id in {first.id, other.id}) == ("cpr_changed", None, False)
    assert desk.known({**AASE, UUID: ANOTHER}) is None
    assert desk.cases() == ["7"]
    assert (desk.come({UUID: ANOTHER}), desk.come({**AASE, NUMBER: CPR})) == (other, first)


def test_a_name_learns_the_cpr_uuid_that_led(desk: Desk) -> None:
    """Both lead to one person, each by a login of its own: from the first login with both the next holder is a case."""
    first = desk.owner({**AASE, NUMBER: CPR})
    assert desk.come({UUID: ONE, NUMBER: CPR}) == first
    assert desk.come({**AASE, UUID: ONE}) == first
    assert desk.known({**AASE, UUID: ANOTHER}) is None
    assert desk.come({**AASE, UUID: ANOTHER}).case == "cpr_changed"


def test_a_cpr_uuid_learned_by_a_name_leads_on_with_it(desk: Desk) -> None:
    """Whoever came by the cprUuid alone in between, without a number, is still the name's person with both."""
    first = desk.owner({**AASE, NUMBER: CPR})
    assert desk.come({**AASE, UUID: ONE}) == first
    alone = desk.come({UUID: ONE})
    assert alone.number is None
    assert desk.come({**AASE, UUID: ONE}) == first
    assert desk.known({**AASE, UUID: ONE}) == first
    assert desk.cases() == []


def test_two_names_without_a_number_are_no_case(desk: Desk) -> None:
    """Who came by each of them before there was a CPR goes on by the register's own, and by both once it comes."""
    by_uuid, by_name = desk.come({UUID: ONE}), desk.come(AASE)
    assert by_uuid.id != by_name.id
    assert desk.come({**AASE, UUID: ONE}) == by_uuid
    first = desk.owner({**AASE, UUID: ONE, NUMBER: CPR})
    assert {desk.come(said).id for said in (AASE, {UUID: ONE}, {**AASE, UUID: ONE})} == {first.id} == {by_uuid.id}
    assert desk.cases() == []


def test_a_weak_cpr_uuid_leads_nowhere_and_is_not_learned(desk: Desk) -> None:
    """Self-asserted it finds nobody, and what was typed stands against nobody later."""
    first = desk.owner({**AASE, NUMBER: CPR})
    assert desk.come({**AASE, UUID: ANOTHER}, sure=False) == first
    assert desk.come({**AASE, UUID: ONE}) == first
    stranger = desk.come({EPPN: "mallory@au.example", UUID: ONE}, sure=False)
    assert (stranger.number, stranger.id != first.id) == (None, True)
    assert desk.come({**AASE, UUID: ANOTHER}, sure=False).case == "cpr_changed"


def test_the_next_holder_of_a_name_long_unused_is_no_case(desk: Desk) -> None:
    """After twelve months the name is nobody's, and the newcomer is who their cprUuid says."""
    first = desk.owner({**AASE, NUMBER: CPR})
    desk.world.now += timedelta(days=366)
    newcomer = desk.come({**AASE, UUID: ANOTHER})
    assert (newcomer.case, newcomer.number, newcomer.id != first.id) == (None, None, True)
    assert desk.come({**AASE, UUID: ANOTHER}) == newcomer


def test_proofs_may_be_under_each_name_that_leads_to_the_person(desk: Desk) -> None:
    """With a number and without; not under a name that is in doubt, or that led to somebody else."""
    number = {**AASE, NUMBER: CPR}
    assert len(desk.owners(AASE)) == 1
    assert desk.owners(number).isdisjoint(desk.owners(AASE))  # nothing has bound the two together
    desk.owner({**number, UUID: ONE})
    assert desk.owners(number) == desk.owners(AASE)
    assert len(desk.owners({**number, UUID: ONE})) == 3
    assert desk.owners({**AASE, NUMBER: OTHER}) == desk.owners({NUMBER: OTHER})
    assert len(desk.owners({**AASE, UUID: ANOTHER})) == 1
    desk.come({**AASE, NUMBER: OTHER})
    assert len(desk.owners(AASE)) == len(desk.owners(number)) == 1


def test_no_proofs_are_under_the_name_of_another_id(desk: Desk) -> None:
    """A name that had an id of its own is the number's person only once a login has said so."""
    desk.come(AASE)
    desk.owner({UUID: ONE, NUMBER: CPR})
    assert desk.owners({**AASE, NUMBER: CPR}) == desk.owners({NUMBER: CPR})


def test_what_was_proved_before_the_name_was_theirs_is_not_theirs(desk: Desk) -> None:
    """By a weak number of somebody else, or by a CPR that brings its own id; a first holder owns all of it."""

    def since(said: Said, *, sure: bool) -> datetime | None:
        return desk.persons.owned_since(desk.given(said, AU, sure=sure))

    weak, begun = {**AASE, NUMBER: OTHER}, desk.world.now
    assert since(weak, sure=False) == _ALWAYS  # nobody has come by that name
    desk.come(weak, sure=False)
    assert since(weak, sure=False) == _ALWAYS
    desk.world.now += timedelta(days=1)
    assert since({**AASE, NUMBER: CPR}, sure=False) is None
    desk.come({**AASE, NUMBER: CPR})
    assert since({**AASE, NUMBER: CPR}, sure=True) == _ALWAYS  # kept under the number, not the name
    assert since(AASE, sure=True) == begun + timedelta(days=1)
    desk.world.now += timedelta(days=40)
    desk.come({**AASE, NUMBER: CPR})
    assert since(AASE, sure=True) == begun + timedelta(days=1)


def disputed(desk: Desk) -> str:
    """Have another CPR come by the name of one who has a borrower, and give the case that staff get of it."""
    desk.come(AASE)
    desk.owner({**AASE, NUMBER: CPR})
    desk.world.now += timedelta(days=40)
    desk.come({**AASE, NUMBER: OTHER})
    (case,) = (str(row["id"]) for row in desk.world.cases.rows() if row["reason"] == "cpr_changed")
    return case


def test_a_retry_by_staff_is_not_lost_to_a_login_at_that_moment(desk: Desk) -> None:
    """The link is read again: a case that was closed leaves nobody locked out."""
    case = disputed(desk)
    put = desk.world.store.put

    def overtaken(key: Key, *given: Any, **options: Any) -> bool:
        if key.kind == "link" and desk.world.store.put is overtaken:
            desk.world.store.put = put
            desk.come({**AASE, NUMBER: CPR})
        return bool(put(key, *given, **options))

    desk.world.store.put = overtaken
    assert desk.world.cases.retry(case)
    assert desk.come(AASE).case is None


def test_what_was_proved_before_staff_gave_the_name_on_is_not_the_next_holders(desk: Desk) -> None:
    """The retry of a case forgets whom the name led to, and not that somebody had it before."""
    assert desk.world.cases.retry(disputed(desk))
    given = desk.given(AASE, AU, sure=True)
    assert desk.persons.owned_since(given) == desk.world.now
    desk.come(AASE)
    assert desk.persons.owned_since(given) == desk.world.now


class PinLogins:
    """Logins by the library account: the library system has verified a PIN."""

    def __init__(self, world: Any) -> None:
        self.world = world
        library = Upstream("library", "library", "", "", "", Text("Library account", "Lånerkonto"))
        rules = ConfiguredEntities({}, {"library": library}, {}, lambda: PolicySet((), ""))
        self.persons = PersonResolution(rules, world.links, world.live)

    def arrived(self, number: str) -> Arrived:
        """Give what the flow would hand over of a login to the account of this borrower."""
        now = self.world.now
        came = Authentication("library", "", "", (), (), now, None, now, now, name_id=number)
        reading = AttributeReading(Attributes({}), Assurance.LOW, "none", None)
        decision = Decision(Effect.PERMIT, (), may_find_by_cpr=False)
        basis = Basis(came, (), "library", None, "my-loans", borrower=True)
        return Arrived(came, reading, decision, PolicySet((), ""), basis)

    def come(self, number: str, cpr: str | None = None) -> Person:
        """Log in to the account of a borrower whose record has this CPR number today."""
        borrower = Borrower(number, "PRIVATE", cpr=cpr)
        self.world.library.borrowers[number] = borrower
        self.persons.verified(borrower)
        return self.persons.person(self.arrived(number))


@pytest.fixture
def pins(world: Any) -> PinLogins:
    """Give logins by PIN to an empty world."""
    return PinLogins(world)


def test_a_login_by_pin_is_the_person_of_the_record_s_cpr(pins: PinLogins, desk: Desk) -> None:
    """Whoever comes by the library account and by the university is one person, with that account's number."""
    by_university = desk.owner({**AASE, NUMBER: CPR})
    by_pin = pins.come("7", CPR)
    assert (by_pin.id, by_pin.number, by_pin.case) == (by_university.id, "7", None)
    assert pins.persons.known(pins.arrived("7")) == replace(by_pin, case=None)


def test_two_accounts_by_pin_are_two_people(pins: PinLogins) -> None:
    """Of accounts without a CPR number too; coming again changes nothing."""
    first, second = pins.come("7"), pins.come("8")
    assert first.id != second.id
    assert (pins.come("7"), pins.come("8")) == (first, second)
    assert (first.number, second.number) == ("7", "8")


def test_a_cpr_number_that_staff_corrected_has_another_person(pins: PinLogins) -> None:
    """The NameIDs that the last number's person has are not handed to the holder of the account."""
    stranger = pins.come("7", CPR)
    owner = pins.come("7", OTHER)
    assert owner.id != stranger.id
    assert pins.come("7", OTHER) == owner


def test_a_cpr_number_that_staff_took_out_keeps_the_person(pins: PinLogins) -> None:
    """The account is still the one that the person's number led to."""
    person = pins.come("7", CPR)
    pins.world.links.remember(pins.world.links.of_cpr(CPR), "7")
    assert pins.come("7").id == pins.come("7", CPR).id == person.id


@pytest.mark.parametrize(("born", "their"), [(None, True), (date(1990, 1, 1), True), (date(1971, 5, 5), False)])
def test_a_card_number_that_looks_like_a_cpr_number_is_no_owner(
    pins: PinLogins, born: date | None, *, their: bool
) -> None:
    """A borrower with another date of birth is not the number's, whatever field it was found in."""
    borrower = Borrower("7", "PRIVATE", born=born)
    pins.world.library.add("0101900000", borrower)
    assert pins.persons._carries("7", "0101900000") is their
    assert not pins.persons._carries("8", "0101900000")
    assert not pins.persons._carries("7", None)
