"""Whom the names and numbers of one login lead to: one person, or a case."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.entities import Assurance, Text, Upstream
from broker.core.errors import LibraryUnavailable
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.identity.rights import Ground
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.transaction import Authentication, Person
from broker.core.policy.model import Decision, Effect, PolicySet
from broker.use_cases.arrived_login import Arrived, Basis
from broker.use_cases.identity.person_resolution import NoIdentityCases, PersonResolution, usable_cpr

CPR, OTHER = "0101990000", "0202990000"
EPPN, UUID, NUMBER = "eduPersonPrincipalName", "cprUuid", "cpr"
ONE, ANOTHER = "6f1c0000-0000-4000-8000-000000000001", "6f1c0000-0000-4000-8000-000000000002"
AU, KU = "https://birk.wayf.dk/birk.php/idp.au.dk", "https://birk.wayf.dk/birk.php/idp.ku.dk"
Said = dict[str, str]
AASE: Said = {EPPN: "aase@au.example"}
SUBSTANTIAL: Final = Assurance.SUBSTANTIAL
LIBRARY: Final = Upstream("library", "library", "", "", "", Text("Library account", "Lånerkonto"))


class Desk:
    """Logins by their attributes, and by PIN."""

    def __init__(self, world: Any) -> None:
        self.world = world
        rules = ConfiguredEntities({}, {"library": LIBRARY}, {}, lambda: PolicySet((), ""))
        self.persons = PersonResolution(rules, world.links, NoIdentityCases(), world.finder)

    def given(
        self, said: Said, institution: str = AU, *, may: bool = True, level: Assurance | None = SUBSTANTIAL
    ) -> Arrived:
        """Give what the flow would hand over."""
        now = self.world.now
        came = Authentication("wayf", "hub", institution, (), (), now, None, now, now)
        kind = "real" if NUMBER in said else "none"
        reading = AttributeReading(Attributes({name: (value,) for name, value in said.items()}), level, kind, None)
        return self._arrived(came, reading, may=may)

    def come(self, said: Said, institution: str = AU, **how: Any) -> Person:
        """Log in."""
        return self.persons.person(self.persons.names(self.given(said, institution, **how)))

    def known(self, said: Said, **how: Any) -> Person | None:
        """Ask who it is without leaving anything."""
        return self.persons.known(self.persons.names(self.given(said, **how)))

    def account(self, number: str) -> Arrived:
        """Give what the flow would hand over of a login to the account of a borrower."""
        now = self.world.now
        came = Authentication("library", "", "", (), (), now, None, now, now, name_id=number)
        return self._arrived(came, AttributeReading(Attributes({}), None, "none", None), may=False)

    def by_pin(self, number: str, cpr: str | None = None) -> Person:
        """Log in to the account of a borrower whose record has this CPR number today."""
        borrower = Borrower(number, "PRIVATE", cpr=cpr)
        self.world.library.borrowers[number] = borrower
        self.world.library.cprs[number] = cpr or ""
        self.persons.verified(borrower)
        return self.persons.person(self.persons.names(self.account(number)))

    def rows(self) -> list[tuple[object, object]]:
        """Give state and reason of what staff have listed."""
        return [(row["state"], row["reason"]) for row in self.world.cases.rows()]

    def _arrived(self, came: Authentication, reading: AttributeReading, *, may: bool) -> Arrived:
        usable = may and reading.cpr == "real"
        decision = Decision(Effect.PERMIT, (), ground=Ground.INSTITUTION if usable else Ground.NOTHING)
        basis = Basis(came, (), came.upstream, None, "my-loans", borrower=False)
        return Arrived(came, reading, decision, PolicySet((), ""), basis)


@pytest.fixture
def desk(world: Any) -> Desk:
    """Give the desk over an empty world."""
    return Desk(world)


@pytest.mark.parametrize("said", [AASE, {"subject-id": "aase@au.example"}, {"pairwise-id": "aase@au.example"}])
def test_a_name_is_good_within_its_institution_only(desk: Desk, said: Said) -> None:
    """Two institutions that assert the same name, or one that asserts the other's, have two people."""
    first = desk.come(said)
    assert desk.come(said) == first
    assert desk.come(said, KU).id != first.id
    assert desk.come({**said, NUMBER: CPR}, KU).id != desk.come({**said, NUMBER: OTHER}).id


def test_a_name_alone_is_never_the_person_of_a_number(desk: Desk) -> None:
    """However often they came together: not the id, and no borrower."""
    with_number = desk.come({**AASE, NUMBER: CPR})
    alone = desk.come(AASE)
    assert alone.id != with_number.id
    assert (alone.number, alone.case, desk.come(AASE)) == (None, None, alone)
    assert desk.known(AASE) == alone
    assert desk.known({**AASE, NUMBER: CPR}) == with_number


def test_a_number_that_may_find_nobody_is_no_number(desk: Desk) -> None:
    """Self-asserted, of an affiliate alone, or not a real one: it leads nowhere, and speaks against nothing."""
    owner = desk.come({**AASE, NUMBER: CPR})
    alone = desk.come(AASE)
    assert desk.come({**AASE, NUMBER: CPR}, may=False) == alone
    assert desk.come({**AASE, NUMBER: OTHER}, may=False) == alone
    assert desk.come({NUMBER: CPR}, may=False).id != owner.id
    weak = desk.given({**AASE, NUMBER: CPR})
    assert usable_cpr(weak) == CPR
    assert usable_cpr(replace(weak, decision=replace(weak.decision, ground=Ground.NOTHING))) is None
    assert desk.rows() == []


def test_another_number_by_a_known_name_is_a_notice(desk: Desk) -> None:
    """The number leads; nobody is kept waiting, and staff see it once."""
    first = desk.come({**AASE, NUMBER: CPR})
    for _ in range(2):
        second = desk.come({**AASE, NUMBER: OTHER})
        assert (second.id != first.id, second.case) == (True, None)
    assert desk.come({**AASE, NUMBER: CPR}) == first
    assert desk.rows() == [("notice", "name_with_another_cpr")]


def test_a_cpr_uuid_stands_for_the_number_it_came_with(desk: Desk) -> None:
    """However it is written, and whatever name is beside it."""
    first = desk.come({UUID: ONE, NUMBER: CPR})
    for said in ({UUID: f"urn:uuid:{ONE.upper()}"}, {UUID: ONE, **AASE}):
        assert desk.come(said, KU) == first
        assert desk.known(said) == first
    assert desk.come(AASE).id != first.id


@pytest.mark.parametrize("how", [{"level": Assurance.LOW}, {"level": None}])
def test_a_cpr_uuid_below_substantial_is_not_read(desk: Desk, how: dict[str, Any]) -> None:
    """It is neither believed nor learned, and no case of anybody."""
    first = desk.come({UUID: ONE, NUMBER: CPR})
    weak = desk.given({UUID: ONE}, **how)
    assert desk.persons.person(desk.persons.names(weak)).id != first.id
    assert not desk.persons.is_named(weak)
    if how != {"may": False}:
        desk.come({UUID: ANOTHER, NUMBER: OTHER}, **how)
        assert desk.come({UUID: ONE, NUMBER: OTHER}, **how).case is None
    assert desk.come({UUID: ANOTHER}).id not in {first.id, desk.come({NUMBER: OTHER}).id}


def test_a_cpr_uuid_that_no_number_came_with_names_somebody(desk: Desk) -> None:
    """As any name does, and the first number beside it takes the id along."""
    first = desk.come({UUID: ONE})
    assert desk.come({UUID: ONE}, KU) == first
    assert desk.come({UUID: ONE, NUMBER: CPR}).id == first.id
    assert desk.come({UUID: ONE}).id == first.id


def test_the_name_that_is_known_goes_before_a_new_one(desk: Desk) -> None:
    """Whoever has come by an eppn is that person when a cprUuid comes beside it for the first time."""
    first = desk.come(AASE)
    assert desk.come({**AASE, UUID: ONE}) == first


def test_a_cpr_uuid_against_a_number_is_a_case(desk: Desk) -> None:
    """Nobody's id is given, to nobody who will come again; each goes on by what is theirs."""
    first = desk.come({UUID: ONE, NUMBER: CPR})
    other = desk.come({NUMBER: OTHER})
    doubts = [desk.come({UUID: ONE, NUMBER: OTHER, **AASE}) for _ in range(2)]
    assert {(each.case, each.number) for each in doubts} == {("cpr_changed", None)}
    assert len({first.id, other.id, *(each.id for each in doubts)}) == 4
    assert desk.known({UUID: ONE, NUMBER: OTHER}) is None
    assert desk.rows() == [("case", "cpr_changed")]
    assert (desk.come({UUID: ONE}), desk.come({NUMBER: OTHER})) == (first, other)


def test_who_is_named_by_nothing_is_nobody_twice(desk: Desk) -> None:
    """A transient NameID names nobody: another id each time, and nothing is left."""
    assert desk.come({}).id != desk.come({}).id
    assert desk.known({}) is None
    assert not desk.persons.is_named(desk.given({}))
    assert desk.persons.is_named(desk.given(AASE))
    assert desk.persons.is_named(desk.account("7"))
    assert "put" not in desk.world.hooks.calls[:2]


def test_a_login_by_pin_is_the_person_of_the_record_s_number(desk: Desk) -> None:
    """Whoever comes by the library account and by the university is one person, with that account's number."""
    by_university = desk.come({**AASE, NUMBER: CPR})
    by_pin = desk.by_pin("7", CPR)
    assert by_pin == Person(by_university.id, "7")
    assert desk.persons.known(desk.persons.names(desk.account("7"))) == by_pin


def test_two_accounts_by_pin_are_two_people(desk: Desk) -> None:
    """Of accounts without a CPR number too; coming again changes nothing."""
    first, second = desk.by_pin("7"), desk.by_pin("8")
    assert first.id != second.id
    assert (desk.by_pin("7"), desk.by_pin("8")) == (first, second)
    assert (first.number, second.number) == ("7", "8")


def test_a_number_that_the_desk_wrote_takes_the_account_s_id_along(desk: Desk) -> None:
    """What was agreed to by the temporary account goes on; once it is taken out again the account is itself."""
    first = desk.by_pin("7")
    assert desk.by_pin("7", CPR) == first
    assert desk.come({NUMBER: CPR}).id == first.id
    without = desk.by_pin("7")
    assert without.id != first.id
    assert desk.by_pin("7") == without
    assert desk.by_pin("7", OTHER).id not in {first.id, without.id}


def test_a_number_that_staff_corrected_has_another_person(desk: Desk) -> None:
    """The NameIDs that the last number's person has are not handed to the holder of the account; it is no notice."""
    stranger = desk.by_pin("7", CPR)
    owner = desk.by_pin("7", OTHER)
    assert owner.id != stranger.id
    assert desk.by_pin("7", OTHER) == owner
    assert desk.rows() == []


@pytest.mark.parametrize("way", ["number", "uuid", "pin"])
def test_who_is_barred_is_so_by_every_way_in(desk: Desk, way: str) -> None:
    """The dead are let in by no login that leads to their number: nor by number and PIN, nor by the cprUuid alone."""

    def come() -> Person:
        if way == "pin":
            return desk.by_pin("7", CPR)
        return desk.come({NUMBER: CPR} if way == "number" else {UUID: ONE})

    desk.come({NUMBER: CPR, UUID: ONE})
    before = come()
    desk.world.links.bar(desk.world.links.of_cpr(CPR), "person_dead")
    assert (before.case, come()) == (None, replace(before, case="person_dead"))
    assert desk.known({NUMBER: CPR}) == Person(before.id, case="person_dead")


def test_a_number_that_another_account_has_too_is_nobody_s(desk: Desk) -> None:
    """Staff may have typed it into a stranger's record, whose holder is not that person."""
    asta = desk.come({**AASE, NUMBER: CPR})
    desk.world.library.add(CPR, Borrower("5", "STUD", cpr=CPR))
    ida = desk.by_pin("7", CPR)
    assert ida.id != asta.id
    del desk.world.library.cprs["5"], desk.world.library.borrowers["5"]
    assert desk.by_pin("7", CPR).id == asta.id


def test_a_card_number_that_looks_like_a_number_is_no_owner(desk: Desk) -> None:
    """A borrower with another date of birth is not the number's, whatever field it was found in."""
    asta = desk.come({NUMBER: CPR})
    stranger = Borrower("7", "PRIVATE", cpr=CPR)
    born = replace(stranger, born=desk.world.now.date())
    desk.world.library.add(CPR, born)
    desk.persons.verified(born)
    assert desk.persons.person(desk.persons.names(desk.account("7"))).id != asta.id


def test_a_guess_is_not_made_while_the_library_is_silent(desk: Desk) -> None:
    """It would cost the person's ids, or give them to a stranger."""
    before = desk.by_pin("7", CPR)

    def down() -> None:
        raise LibraryUnavailable("down")

    desk.world.hooks.before["find"] = down
    with pytest.raises(LibraryUnavailable):
        desk.persons.verified(Borrower("7", "PRIVATE", cpr=CPR))
    assert desk.persons.person(desk.persons.names(desk.account("7"))) == before


def test_an_account_s_number_never_goes_stale(desk: Desk) -> None:
    """Who logs in by PIN after two years is who they were."""
    first = desk.by_pin("7", CPR)
    desk.world.now += timedelta(days=800)
    assert desk.by_pin("7", CPR) == first
