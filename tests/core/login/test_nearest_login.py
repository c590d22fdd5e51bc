"""What would let a refused person in is little, and does let them in."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.login.given_facts import GivenFacts
from broker.core.login.nearest_login import near_logins
from broker.core.policy.model import ideal_service
from broker.files.policies import live_policies

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POLICIES = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)


@pytest.mark.parametrize(
    ("given", "service", "affiliation", "changes"),
    [
        (
            GivenFacts("wayf", ("affiliate@au.dk",)),
            "my-loans",
            "private",
            ("upstream nemid", "assurance substantial", "cpr real", "age 18"),
        ),
        (
            GivenFacts("nemid", attributes={"eduPersonAssurance": ("Low",)}, cpr="real", age=40),
            "my-loans",
            "private",
            ("assurance substantial",),
        ),
        (GivenFacts("nemid", attributes={"eduPersonAssurance": ("4",)}, cpr="real", age=40), "my-loans", "private", ()),
        (GivenFacts("nemid", cpr="real", age=15), "my-loans", "private", ("assurance substantial", "age 18")),
        (
            GivenFacts("wayf", ("student@au.dk",), {"schacHomeOrganization": ("au.dk",)}),
            "myprint",
            "student",
            ("borrower STUDENT",),
        ),
    ],
)
def test_the_changes_are_those_that_are_needed(
    given: GivenFacts, service: str, affiliation: str, changes: tuple[str, ...]
) -> None:
    """What fits already is left as it is; the other facts are what the rules ask."""
    near = near_logins(given, ideal_service(service), POLICIES, NOW.date())

    assert next(each for each in near if each.affiliation == affiliation).changes == changes


def test_another_way_comes_before_another_person() -> None:
    """That somebody logs in otherwise is nearer than that they are a student elsewhere."""
    near = near_logins(GivenFacts("wayf", ("student@ku.dk",)), ideal_service("my-loans"), POLICIES, NOW.date())

    assert near[0].facts.upstream == "nemid"
    assert [each.effort for each in near] == sorted(each.effort for each in near)
