"""The set-up that a policy set expects of the library system."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from broker.core.borrowers.library_setup import ExpectedSetup
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import BorrowerRule, Decision, Field, Lowering, PolicyLine, PolicySet

Permit = Callable[..., Decision]


def _rule(line: int, category: str, **more: Any) -> BorrowerRule:
    place = PolicyLine("student.yaml", line)
    fields = (Field("surname", "sn", "always", PolicyLine("student.yaml", line + 1)),)
    rule = BorrowerRule(category, (), Expiry(12), fields, "mail", place=place)
    return replace(rule, **more)


def _make_expected(permit: Permit, *rules: BorrowerRule | None) -> ExpectedSetup:
    policy = permit().policy
    assert policy is not None
    policies = (replace(policy, borrower=rule, precedence=9 - at) for at, rule in enumerate(rules))
    return ExpectedSetup.from_policies(PolicySet(tuple(policies), "d"))


def test_every_category_of_every_rule_is_expected(permit: Permit) -> None:
    """Upgrades and lowerings too, each with the first line that names it."""
    lowers = Lowering(("wayf",), ("EMPLOYEE",))
    rule = _rule(30, "STUDENT", upgrades=("OLD",), lowers=lowers)
    expected = _make_expected(permit, rule, _rule(50, "TEMP"))
    place = "student.yaml:30"
    assert expected.categories == {"STUDENT": place, "OLD": place, "EMPLOYEE": place, "TEMP": "student.yaml:50"}
