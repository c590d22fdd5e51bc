"""The disclosures are exactly what the engine releases to some login."""

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.login.login_simulation import simulate_login
from broker.core.policy.model import (
    Alternative,
    Condition,
    Policy,
    PolicyLine,
    PolicySet,
    Release,
    ReleasedAttribute,
    Requirement,
)
from broker.core.policy_analysis.personas import Analysis
from broker.core.report.disclosures import Disclosures, find_disclosures
from tests.core.policy_analysis.random_policies import NOW, POLICY_SETS, SERVICES, SITE, WORDS, random_logins
from tests.plugins.example_counts import scale_examples

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
SEEDS = st.integers(0, 2**32)


def triples(found: Disclosures) -> set[tuple[str, str, str]]:
    """Give what is listed: service, affiliation, attribute."""
    return {(each.service, each.affiliation, listed.name) for each in found.given for listed in each.attributes}


def find_released(policies: PolicySet, seed: int, many: int) -> set[tuple[str, str, str]]:
    """Give what the engine lets leave for random logins."""
    found = set()
    for login in random_logins(Random(seed), many):
        for service in SERVICES:
            played = simulate_login(login.described, service, policies, NOW, SITE)
            affiliation = played.decision.affiliation or ""
            found |= {(service.name, affiliation, each.name) for each in played.leaving}
    return found


def check(policies: PolicySet, seed: int, many: int) -> None:
    """Compare what is listed with what is released."""
    found = find_disclosures(Analysis((policies,), (SITE,), NOW))
    listed = triples(found)
    assert find_released(policies, seed, many) - listed == set()
    for service, affiliation, name in listed:
        (entry,) = (each for each in found.to(service) if each.affiliation == affiliation)
        login = entry.released[name]
        at = next(each for each in SERVICES if each.name == service)
        played = simulate_login(login, at, policies, NOW, SITE)
        assert (played.decision.affiliation, name in {each.name for each in played.leaving}) == (affiliation, True)


@settings(max_examples=scale_examples(3), deadline=None, suppress_health_check=SLOW)
@given(POLICY_SETS, SEEDS)
def test_all_that_leaves_is_listed_and_nothing_else(policies: PolicySet, seed: int) -> None:
    """No random login is given more, and a login that the engine lets go with it stands behind each line."""
    check(policies, seed, 40)


def test_a_value_that_the_people_cannot_have_is_not_given() -> None:
    """A person has one category: a line that lists another category is not in the report."""
    place = PolicyLine("student.yaml", 9)
    conditions = (Condition("upstream", ("library",), place), Condition("borrower_category", ("STUDENT",), place))
    attributes = tuple(
        ReleasedAttribute(name, WORDS, place, values)
        for name, values in (("borrower_number", ()), ("borrower_category", ("PRIVATE",)))
    )
    release = Release(
        "e-resources", "need", "public_task", WORDS, "transient", attributes, place=PolicyLine("student.yaml", 8)
    )
    policy = Policy(
        file="student.yaml",
        affiliation="student",
        precedence=1,
        label=WORDS,
        owner="o",
        review_by=NOW.date(),
        match=(Alternative(conditions, place),),
        proofs=(),
        require=Requirement(),
        borrower=None,
        releases=(release,),
    )
    found = find_disclosures(Analysis((PolicySet((policy,), "d"),), (SITE,), NOW))
    assert triples(found) == {("e-resources", "student", "borrower_number")}
