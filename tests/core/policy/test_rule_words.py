"""The rule of a refusal is told as its file writes it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.entities import Assurance
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.decision import evaluate
from broker.core.policy.ideal_service import ideal_service
from broker.core.policy.model import LoginFacts
from broker.core.policy.rule_words import near_lines, rule_words
from broker.files.policies import live_policies

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

    assert rule_words(decision) == words
    assert bool(near_lines(decision)) is (words == "")
