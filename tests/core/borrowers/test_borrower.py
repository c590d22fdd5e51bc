"""The one change between the borrower that is there and the one that is wanted."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change, find_case_reason, plan_change
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.pins import list_suggested_pins
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField

TODAY = date(2026, 11, 25)
FAR = date(2028, 11, 25)
NAME = WantedField("surname", "Prøvesen", "always")
PERSON = PersonFacts("Prøvesen", "Åse", date(1999, 1, 1))
NAMES_THERE = {"surname": "Prøvesen", "firstname": "Åse"}
WANTED = WantedBorrower("0101990000", "STUD", ("PRIV",), FAR, (NAME,), None, person=PERSON)
THERE = Borrower("7", "STUD", FAR, fields=NAMES_THERE, card="7")
MARRIED = replace(THERE, born=PERSON.birth_date, fields={**NAMES_THERE, "surname": "Eksempel"})
OTHERS = replace(THERE, born=PERSON.birth_date, fields={"surname": "Skov", "firstname": "Ida"})


@pytest.mark.parametrize(
    ("found", "planned"),
    [
        (THERE, None),
        (replace(THERE, category="PRIV"), Change("7", (), "STUD")),
        (replace(THERE, category="PRIV", expires=TODAY), Change("7", (), "STUD", FAR)),
        (replace(THERE, category="STAFF"), None),
        (replace(THERE, category="TEMP"), None),
        (MARRIED, Change("7", (("surname", "Prøvesen"),))),
        (replace(THERE, expires=None), None),
        (replace(THERE, expires=TODAY - timedelta(days=9)), Change("7", (), None, FAR)),
        (replace(THERE, expires=TODAY + timedelta(days=179)), Change("7", (), None, FAR)),
        (replace(THERE, expires=TODAY + timedelta(days=180)), None),
        (replace(THERE, category="STAFF", expires=TODAY), None),
    ],
)
def test_the_plan(found: Borrower, planned: Change | None) -> None:
    """One row a situation: what is there, and the one thing to do."""
    assert plan_change(found, WANTED, TODAY) == planned


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((), None),
        ((THERE,), None),
        ((THERE, replace(THERE, number="8")), "several_borrowers"),
        ((replace(THERE, born=date(1999, 1, 1)),), None),
        ((replace(THERE, born=date(1999, 1, 2)),), None),
        ((OTHERS,), "different_person"),
        ((replace(OTHERS, category="PRIV", mark="a" * 32, cpr=WANTED.cpr),), "different_person"),
        ((replace(THERE, cpr=WANTED.cpr),), None),
        ((replace(THERE, cpr="0201990000"),), "different_person"),
        ((replace(THERE, cpr="0201990000", mark="a" * 32, category="PRIV"),), "different_person"),
    ],
)
def test_wrong_or_several_borrowers_become_a_case(found: tuple[Borrower, ...], reason: str | None) -> None:
    """Two borrowers with one number, and one that is not this person's."""
    assert find_case_reason(found, WANTED.person, WANTED.cpr or "") == reason


@pytest.mark.parametrize(
    ("born", "cpr", "suggested"),
    [
        (None, None, set()),
        (date(1999, 1, 2), None, {"0201", "0102", "0299", "9902", "0199", "9901", "1999"}),
        (None, "3112085678", {"3112", "5678", "0831"}),
        (date(1999, 1, 2), "3112085678", {"1999", "5678"}),
    ],
)
def test_a_borrower_suggests_what_a_thief_tries_first(born: date | None, cpr: str | None, suggested: set[str]) -> None:
    """By date of birth and CPR number, as far as the library system has them."""
    pins = list_suggested_pins(replace(THERE, born=born, cpr=cpr))
    assert suggested <= pins
    assert pins or not suggested
    assert bool(pins) is (born is not None or cpr is not None)


def test_without_a_date_in_the_number_no_borrower_is_anothers() -> None:
    """A birth date that is missing contradicts nothing."""
    assert not replace(THERE, born=TODAY).has_other_birth_date("120180ABC1")


@pytest.mark.parametrize(
    ("when", "there", "written"),
    [
        ("create", None, None),
        ("create", "desk", None),
        ("if_empty", None, "ours"),
        ("if_empty", "", "ours"),
        ("if_empty", "desk", None),
        ("always", "desk", "ours"),
        ("always", "ours", None),
    ],
)
def test_a_login_overwrites_only_what_it_may(when: str, there: str | None, written: str | None) -> None:
    """A value that the person or staff changed stays, unless the policy says ``always``."""
    wanted = replace(WANTED, fields=(WantedField("email", "ours", when),))
    borrower = replace(THERE, fields=NAMES_THERE if there is None else {**NAMES_THERE, "email": there})
    planned = plan_change(borrower, wanted, TODAY)
    assert planned == (Change("7", (("email", written),)) if written else None)


@pytest.mark.parametrize(("can_write", "planned"), [(True, Change("7", ())), (False, None)])
def test_a_borrower_without_a_card_number_gets_one(*, can_write: bool, planned: Change | None) -> None:
    """Without one no PIN works. A login that may only lower the category writes none."""
    wanted = replace(WANTED, can_write=can_write, fields=())
    assert plan_change(replace(THERE, card=None), wanted, TODAY) == planned
    assert plan_change(THERE, wanted, TODAY) is None


def test_a_move_to_another_category_keeps_a_later_expiry() -> None:
    """The expiry only moves to a later day."""
    lasting = replace(THERE, category="PRIV", expires=FAR + timedelta(days=1))
    assert plan_change(lasting, WANTED, TODAY) == Change("7", (), "STUD")


def test_a_short_category_is_not_written_at_every_login() -> None:
    """A category of three months is renewed at half its term, not daily because it is always near."""
    wanted = replace(WANTED, expires=TODAY + timedelta(days=90))
    fresh = replace(THERE, expires=TODAY + timedelta(days=89))
    assert plan_change(fresh, wanted, TODAY) is None
    assert plan_change(replace(fresh, expires=TODAY + timedelta(days=44)), wanted, TODAY)
