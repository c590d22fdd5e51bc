"""What follows from an answer of the register of persons, for each status and each rule."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.address_fields import ADDRESS_FIELDS, address_fields
from broker.core.borrowers.owed_look_up import CASES, LookUpOutcome, LookUpPlan, plan_look_up
from broker.core.borrowers.registered_person import RegisteredAddress, RegisteredName, RegisteredPerson, Residence
from broker.core.policy.register_rule import RegisterRule

ADDRESS: Final = RegisteredAddress("Hansen", "Prøvevej 12, 2. th", "Nørre Prøve", "8000", "Aarhus C")
PERSON: Final = RegisteredPerson(
    Residence.IN_DENMARK, RegisteredName("Åse", "Test", "Prøvesen"), ADDRESS, protected=False
)
WRITTEN: Final = (
    ("address", "Prøvevej 12, 2. th"),
    ("address2", "c/o Hansen, Nørre Prøve"),
    ("postal_code", "8000"),
    ("city", "Aarhus C"),
)
ALWAYS, IF_EMPTY, ALL = RegisterRule("always"), RegisterRule("set_if_empty"), RegisterRule("always", "if_empty", "case")
NAMED: Final = {"surname": "Prøvesen", "firstname": "Åse"}


def planned(person: RegisteredPerson | None, rule: RegisterRule = ALWAYS, **present: str) -> LookUpPlan:
    """Plan where a protected address stays with the register."""
    return plan_look_up(person, present, rule, protected_to_library=False)


@pytest.mark.parametrize(
    ("residence", "outcome"),
    [
        (Residence.IN_DENMARK, LookUpOutcome.WRITTEN),
        (Residence.IN_GREENLAND, LookUpOutcome.WRITTEN),
        (Residence.NEVER_RESIDENT, LookUpOutcome.UNCLEAR),
        (Residence.ANNULLED, LookUpOutcome.UNCLEAR),
        (Residence.DISAPPEARED, LookUpOutcome.UNCLEAR),
        (Residence.NOT_UNDERSTOOD, LookUpOutcome.UNCLEAR),
        (Residence.NUMBER_CHANGED, LookUpOutcome.NUMBER_CHANGED),
        (Residence.DEAD, LookUpOutcome.DEAD),
    ],
)
def test_each_status_leads_to_its_outcome(residence: Residence, outcome: LookUpOutcome) -> None:
    """Staff get a case with a reason for whatever no rule decides, and nothing is written then."""
    plan = planned(replace(PERSON, residence=residence))
    assert plan.outcome is outcome
    assert (plan.fields == ()) == (plan.case is not None)
    assert (plan.case is not None) == (outcome in CASES)


@pytest.mark.parametrize("residence", [Residence.ABROAD, Residence.WITHOUT_USABLE_ADDRESS])
def test_who_has_no_address_here_keeps_the_one_on_file(residence: Residence) -> None:
    """Of the emigrated no address is read: what staff wrote stays."""
    gone = replace(PERSON, residence=residence, address=None)
    assert planned(gone, address="Gammelvej 1") == LookUpPlan(LookUpOutcome.UNCHANGED)


def test_a_number_that_the_register_does_not_know_is_a_case() -> None:
    """With a cause in words, and no number in it."""
    plan = planned(None)
    assert (plan.case, plan.cause) == ("register_unclear", "the register knows no such number")


def test_an_address_is_one_unit() -> None:
    """All four fields, a line that is none any more emptied."""
    assert planned(PERSON).fields == WRITTEN
    plain = replace(PERSON, address=replace(ADDRESS, care_of="", place=""))
    assert planned(plain, address="Gammelvej 1", address2="c/o Olsen").fields[1] == ("address2", "")
    assert [name for name, _ in planned(plain).fields] == ["address", "postal_code", "city"]


@pytest.mark.parametrize("field", ADDRESS_FIELDS)
def test_set_if_empty_leaves_what_somebody_wrote(field: str) -> None:
    """One line is enough: half of one address beside half of another leads nowhere."""
    assert planned(PERSON, IF_EMPTY).fields == WRITTEN
    assert planned(PERSON, IF_EMPTY, **{field: "x"}) == LookUpPlan(LookUpOutcome.UNCHANGED)
    assert planned(PERSON, ALWAYS, **{field: "x"}).fields == WRITTEN


def test_an_address_that_is_there_already_is_not_written_again() -> None:
    """And none where the policy says never."""
    assert planned(PERSON, ALWAYS, **dict(WRITTEN)).outcome is LookUpOutcome.UNCHANGED
    assert planned(PERSON, RegisterRule()).outcome is LookUpOutcome.UNCHANGED


@pytest.mark.parametrize(
    ("protected_to_library", "outcome"), [(False, LookUpOutcome.PROTECTED), (True, LookUpOutcome.WRITTEN)]
)
def test_a_protected_person_is_written_only_where_the_library_says_so(
    outcome: LookUpOutcome, *, protected_to_library: bool
) -> None:
    """The protection is one of name and address: neither leaves the register's answer."""
    plan = plan_look_up(replace(PERSON, protected=True), {}, ALL, protected_to_library=protected_to_library)
    assert (plan.outcome, plan.fields == ()) == (outcome, not protected_to_library)


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        (IF_EMPTY, LookUpOutcome.PROTECTED_THERE),
        (ALL, LookUpOutcome.UNDER_GUARDIANSHIP),
        (RegisterRule(), LookUpOutcome.PROTECTED),
    ],
    ids=["address", "guardian too", "nothing of addresses"],
)
def test_an_address_that_is_protected_by_now_is_a_case(rule: RegisterRule, outcome: LookUpOutcome) -> None:
    """Where people are looked up for their address; the cause says it without a word of the address."""
    plan = planned(replace(PERSON, protected=True, under_guardianship=True), rule, city="Aarhus C")
    assert (plan.outcome, plan.fields) == (outcome, ())
    assert (plan.cause is not None) == (rule.address != "never")
    assert "Aarhus" not in (plan.cause or "")


def test_a_name_fills_only_what_is_empty() -> None:
    """What the desk or the person wrote stays."""
    rule = RegisterRule(name="if_empty")
    assert planned(PERSON, rule).fields == (("firstname", "Åse Test"), ("surname", "Prøvesen"))
    assert planned(PERSON, rule, firstname="Åse").fields == (("surname", "Prøvesen"),)
    assert planned(PERSON, RegisterRule()).fields == ()


def test_a_guardian_is_a_case_where_the_policy_says_so() -> None:
    """The address is written all the same; a register that was not asked says nothing."""
    for rule, told, outcome in (
        (ALL, True, LookUpOutcome.UNDER_GUARDIANSHIP),
        (ALWAYS, True, LookUpOutcome.WRITTEN),
        (ALL, None, LookUpOutcome.WRITTEN),
    ):
        plan = planned(replace(PERSON, under_guardianship=told), rule, **NAMED)
        assert (plan.outcome, plan.fields) == (outcome, WRITTEN)


def test_a_number_in_force_elsewhere_is_a_change_whatever_the_status_says() -> None:
    """The register names the number that took the place of theirs."""
    assert planned(replace(PERSON, current_number="0506800000")).case == "cpr_number_changed"


@pytest.mark.parametrize(
    ("changes", "street"),
    [({}, "Prøvevej 12, 2. th"), ({"street": ""}, "Nørre Prøve"), ({"street": "=1+1", "place": ""}, "1+1")],
)
def test_an_address_without_a_street_has_its_place_there(changes: dict[str, str], street: str) -> None:
    """And nothing begins a formula in a spreadsheet of the library's."""
    fields = address_fields(replace(ADDRESS, **changes))
    assert fields is not None
    assert fields["address"] == street


@given(st.builds(RegisteredAddress, *[st.text(max_size=8)] * 5))
def test_what_no_letter_reaches_is_no_address(address: RegisteredAddress) -> None:
    """Without a line, a postal code or a city nothing is written; else all of it is harmless."""
    fields = address_fields(address)
    if fields is None:
        return
    assert tuple(fields) == ADDRESS_FIELDS
    assert fields["address"]
    assert fields["postal_code"]
    assert fields["city"]
    assert not any(text.startswith(("=", "+", "-", "@")) or "<" in text for text in fields.values())
