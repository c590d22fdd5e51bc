"""From decision and attributes to the request for a borrower."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.core.borrowers.wanted_borrower import derive_wanted_borrower
from broker.core.identity.canonical_attributes import Attributes
from broker.core.identity.rights import Ground
from broker.core.policy.model import Lowering, RegisterRule

DAY = date(2026, 11, 25)
GROUNDS = {True: Ground.INSTITUTION, False: Ground.ALUMNI}


def test_a_request_takes_its_fields_from_the_attributes(permit: Any) -> None:
    """Category and fields are the policy's, values the person's, the PIN goes to the address that is set."""
    attributes = Attributes({"mail": ("a@b.example",), "cpr": ("1403044004",)})
    made = derive_wanted_borrower(permit(borrower="make"), attributes, language="en", today=DAY)
    assert made is not None
    assert (made.cpr, made.category, made.upgrades, made.pin_to) == (
        "1403044004",
        "STUDENT",
        ("PRIVATE",),
        "a@b.example",
    )
    assert made.expires == date(2028, 11, 25)
    assert "1403044004" not in repr(made)


def test_a_login_without_a_usable_number_wants_no_borrower(permit: Any) -> None:
    """No identifier leads to a borrower instead."""
    decision = replace(permit(borrower="make"), ground=Ground.IDENTIFIER)
    assert derive_wanted_borrower(decision, Attributes({"cprUuid": ("u",)}), language="da", today=DAY) is None
    assert derive_wanted_borrower(decision, Attributes({"cpr": ("1403044004",)}), language="da", today=DAY) is None


@pytest.mark.parametrize("known", [True, False])
def test_the_register_is_asked_only_where_fields_may_be_written(permit: Any, *, known: bool) -> None:
    """Of others nothing is written, so that nobody has to ask a register about them."""
    decision, attributes = permit(borrower="make"), Attributes({"cpr": ("1403044004",)})
    assert decision.policy
    rule = replace(decision.policy.borrower, register=RegisterRule("always"))
    decision = replace(decision, policy=replace(decision.policy, borrower=rule), ground=GROUNDS[known])
    made = derive_wanted_borrower(decision, attributes, language="da", today=DAY)
    assert made is not None
    assert made.register == (RegisterRule("always") if known else None)


@pytest.mark.parametrize("case", ["no policy", "no rule", "by a PIN"])
def test_without_a_borrower_rule_no_borrower_is_wanted(permit: Any, case: str) -> None:
    """Nor for a login with the library account: its category would renew itself for ever."""
    decision, attributes = permit(borrower="make"), Attributes({"cpr": ("1403044004",)})
    assert decision.policy
    if case == "no policy":
        decision = replace(decision, policy=None)
    elif case == "no rule":
        decision = replace(decision, policy=replace(decision.policy, borrower=None))
    else:
        attributes = Attributes({"borrower_category": ("STUDENT",)})
    assert derive_wanted_borrower(decision, attributes, language="da", today=DAY) is None


@pytest.mark.parametrize(("pin", "to"), [("mail", "a@b.example"), ("none", None)])
def test_a_pin_is_mailed_where_the_rule_has_it_so(permit: Any, pin: str, to: str | None) -> None:
    """To the address that is set, and not for having one."""
    decision = permit(borrower="make")
    email = decision.policy.borrower.fields[0]
    phone = replace(email, name="phone", source="telephone")
    rule = replace(decision.policy.borrower, pin=pin, fields=(phone, email))
    decision = replace(decision, policy=replace(decision.policy, borrower=rule))
    attributes = Attributes({"mail": ("a@b.example",), "telephone": ("12345678",), "cpr": ("1403044004",)})
    made = derive_wanted_borrower(decision, attributes, language="da", today=DAY)
    assert made is not None
    assert (made.pin_to, [each.name for each in made.fields]) == (to, ["phone", "email"])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("may_lower", "lowers"), [(True, ("STUD",)), (False, ())])
def test_a_number_of_alumni_only_lowers(permit: Any, lowers: tuple[str, ...], *, may_lower: bool, known: bool) -> None:
    """A CPR number finds their borrower, but nothing is made, raised, written or mailed."""
    decision = replace(permit(borrower="make"), permits_lowering=may_lower, ground=GROUNDS[known])
    rule = replace(decision.policy.borrower, lowers=Lowering(("wayf",), ("STUD",)))
    decision = replace(decision, policy=replace(decision.policy, borrower=rule))
    numbered = Attributes({"cpr": ("1403044004",), "mail": ("a@b.example",)})
    made = derive_wanted_borrower(decision, numbered, language="da", today=DAY)
    assert made is not None
    assert (made.lowers, made.creates) == (lowers, known)
    assert (bool(made.fields), bool(made.pin_to), bool(made.upgrades)) == (known, known, known)
    barred = derive_wanted_borrower(replace(decision, permits_creation=False), numbered, language="da", today=DAY)
    assert barred is not None
    assert not barred.creates
