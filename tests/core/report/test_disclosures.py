"""The disclosures are exactly what the engine releases to some login."""

from dataclasses import replace
from random import Random

import pytest

from broker.core.entities import Service
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.login_simulation import simulate_login
from broker.core.policy.model import PolicySet, ReleasedAttribute
from broker.core.policy_analysis.sample_logins import Analysis
from broker.core.report.disclosures import Disclosures, find_disclosures
from tests.core.policy_analysis.random_logins import SERVICES, SITE, draw_policies, random_logins
from tests.plugins.core_values import NOW, PLACE, WORDS, make_alternative, make_policy, make_release


def triples(found: Disclosures) -> set[tuple[str, str, str]]:
    """Give what is listed: service, affiliation, attribute."""
    return {(each.service, each.affiliation, listed.name) for each in found.releases for listed in each.attributes}


@pytest.mark.long("plays hundreds of logins")
@pytest.mark.parametrize("seed", range(2))
def test_all_that_leaves_is_listed_and_nothing_else(seed: int) -> None:
    """No random login is given more, and a login that the engine lets go with it stands behind each line."""
    draw = Random(seed)
    policies = draw_policies(draw)
    found = find_disclosures(Analysis((policies,), (SITE,), NOW))
    listed = triples(found)
    for drawn in random_logins(draw, 40):
        for service in SERVICES:
            assert find_released(policies, drawn.described, service) <= listed
    for service in SERVICES:
        for entry in found.to(service.name):
            for name, login in entry.released.items():
                assert (service.name, entry.affiliation, name) in find_released(policies, login, service)


def find_released(policies: PolicySet, login: DescribedLogin, service: Service) -> set[tuple[str, str, str]]:
    """Return what the engine lets leave: service, affiliation, attribute."""
    played = simulate_login(login, service, policies, NOW, SITE)
    return {(service.name, played.decision.affiliation or "", each.name) for each in played.attributes_sent}


def test_a_value_that_the_people_cannot_have_is_not_given() -> None:
    """A person has one category: a line that lists another category is not in the report."""
    category = ReleasedAttribute("borrower_category", WORDS, PLACE, ("PRIVATE",))
    release = make_release("e-resources", "borrower_number", borrower="need")
    release = replace(release, attributes=(*release.attributes, category))
    policy = make_policy(
        "student", make_alternative(upstream="library", borrower_category="STUDENT"), releases=(release,)
    )
    found = find_disclosures(Analysis((PolicySet((policy,), "d"),), (SITE,), NOW))
    assert triples(found) == {("e-resources", "student", "borrower_number")}
