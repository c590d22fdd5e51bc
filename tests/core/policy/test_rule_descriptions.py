"""The rule of a refusal is quoted as its file writes it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.core.entities import Assurance
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.decision import evaluate
from broker.core.policy.model import LoginFacts, PolicySet, ideal_service
from broker.core.policy.rule_descriptions import describe_rule, list_near_misses

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POLICIES = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)
EID = LoginFacts("nemid", Attributes(), Assurance.SUBSTANTIAL, "real", 15)
AU = {"schacHomeOrganization": ("au.dk",)}
STUDENT = LoginFacts(
    "wayf", Attributes({**AU, "eduPersonScopedAffiliation": ("student@au.dk",)}), Assurance.LOW, "real", 22
)
GUEST = replace(STUDENT, attributes=Attributes({**AU, "eduPersonScopedAffiliation": ("affiliate@au.dk",)}))


@pytest.mark.parametrize(
    ("login", "service", "words"),
    [
        (EID, "my-loans", "age: 18"),
        (replace(EID, age=58, cpr="none"), "my-loans", "cpr: real"),
        (replace(STUDENT, cpr="constructed"), "my-loans", "cpr: real"),
        (replace(STUDENT, assurance=Assurance.SELF_ASSERTED), "my-loans", "assurance: low"),
        (GUEST, "my-loans", "upstream: nemid"),
        (replace(STUDENT, borrower=False), "myprint", "service: myprint, borrower: need"),
        (EID, "e-resources", "affiliation: private has no entry for the service"),
        (replace(EID, assurance=Assurance.LOW), "my-loans", ""),
    ],
)
def test_the_key_and_its_value_are_those_of_the_file(login: LoginFacts, service: str, words: str) -> None:
    """Each code of a refusal leads to the key that demands it; where no file matched there is no rule."""
    decision = evaluate(POLICIES, login, ideal_service(service), NOW)

    assert describe_rule(decision) == words
    assert bool(list_near_misses(decision)) is (words == "")


def test_an_age_that_no_number_tells_is_the_rule_where_no_number_is_demanded() -> None:
    """The line that decided is that of the age, and so are its words."""
    *others, private = POLICIES.policies
    by_age = replace(private, require=replace(private.require, cpr=False, upstream=()))
    policies = PolicySet((*others, by_age), "d")

    decision = evaluate(policies, replace(GUEST, cpr="none", age=None), ideal_service("my-loans"), NOW)

    assert decision.reasons[0].code == "cpr_required"
    assert describe_rule(decision) == "age: 18"
