"""The persons of the demo's register."""

from datetime import date

from broker.core.identity import cpr
from broker.demo.people.personas import PERSONAS
from broker.demo.people.register_people import REGISTER_PEOPLE, people_with, rows

REAL = {cpr.CprKind.REAL, cpr.CprKind.REAL_WITHOUT_MODULUS_11}


def test_the_register_has_everybody_with_a_real_number() -> None:
    """And nobody else: a replacement or a constructed number is none of its."""
    people = people_with("datafordeler")
    real = {each.cpr for each in people if each.cpr and cpr.classify(each.cpr, date(2026, 1, 1)) in REAL}
    assert set(rows()) == real


def test_without_a_register_the_people_are_as_ever() -> None:
    """Those who try the register come beside them, under names and numbers of their own."""
    assert tuple(people_with("")) == PERSONAS
    assert {each.name for each in REGISTER_PEOPLE} & {each.name for each in PERSONAS} == set()
    assert {each.cpr for each in REGISTER_PEOPLE} & {each.cpr for each in PERSONAS} == set()


def test_what_may_not_leave_the_register_comes_from_nowhere_else() -> None:
    """No login asserts the middle name and the address of the protected and the dead: where they turn up is a leak."""
    asserted = " ".join(value for each in people_with("any") for of in each.attributes.values() for value in of)
    hidden = [each for each in rows().values() if each.is_protected or each.status == "doed"]
    assert len(hidden) == 2
    for row in hidden:
        assert row.middle
        assert row.middle not in asserted
        streets = [each.address.get("vejnavn") for each in rows().values()]
        assert streets.count(row.address["vejnavn"]) == 1
