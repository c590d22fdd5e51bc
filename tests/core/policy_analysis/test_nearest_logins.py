"""The login nearest to a refused one changes little, and is let in."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.core.login.described_login import IdealTerms
from broker.core.login.given_facts import GivenFacts
from broker.core.login.ideal_login import play
from broker.core.policy.model import ideal_service
from broker.use_cases import policy_trials
from broker.use_cases.policy_trials import Site

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POLICIES = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)
SERVICES = {name: ideal_service(name) for name in ("my-loans", "myprint", "e-resources")}
SITE = Site(POLICIES, "policies", SERVICES, {}, {}, configured=False)


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
        (GivenFacts("nemid", cpr="real", age=15), "my-loans", "private", ("age 18",)),
        (GivenFacts("wayf", ("student@au.dk",), cpr="real"), "myprint", "student", ("borrower STUDENT",)),
        (
            GivenFacts("wayf", ("student@ku.dk",)),
            "my-loans",
            "private",
            ("upstream nemid", "assurance substantial", "cpr real", "age 18"),
        ),
    ],
)
def test_the_nearest_login_is_let_in(
    given: GivenFacts, service: str, affiliation: str, changes: tuple[str, ...]
) -> None:
    """What fits already stays; another way to log in is nearer than another person."""
    trial = policy_trials.try_login(SITE, given, (service,), NOW)
    (played,) = trial.played
    nearest = policy_trials.nearest_logins(SITE, trial, played, NOW)
    assert not played.permitted
    assert (nearest[0].affiliation, nearest[0].changes) == (affiliation, changes)
    for each in nearest:
        assert play(each.login, SERVICES[service], POLICIES, NOW, IdealTerms()).permitted


def test_a_login_that_is_let_in_has_no_nearest() -> None:
    """There is nothing to change."""
    trial = policy_trials.try_login(SITE, GivenFacts("wayf", ("student@au.dk",), cpr="real"), ("my-loans",), NOW)
    assert policy_trials.nearest_logins(SITE, trial, trial.played[0], NOW) == ()
