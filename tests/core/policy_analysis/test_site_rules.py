"""Site rules: a login that breaks a rule is reported, even one with a rare value.

The random logins of test_differences.py and test_disclosures.py check that the sample logins stand for every login.
"""

import pytest

from broker.core.policy.matching import value_allowed
from broker.core.policy.model import Condition, Expectation, PolicyLine, PolicySet, ReleasedAttribute
from broker.core.policy_analysis.sample_logins import LoginFilter
from broker.core.policy_analysis.site_rules import SiteRule, find_breaches
from tests.core.policy_analysis.random_logins import SITE
from tests.plugins.core_values import NOW, PLACE, WORDS, make_alternative, make_policy, make_release

RULE = PolicyLine("policy_properties.yaml", 1)


def make_policies(*values: str, name: str = "mail", ways: tuple[tuple[str, str], ...] = ()) -> PolicySet:
    """Give a policy that releases only these values, to logins that meet one of some conditions; without any to all of wayf."""
    listed = ReleasedAttribute(name, WORDS, PLACE, values)
    match = [make_alternative(upstream="wayf", **{name: value}) for name, value in ways]
    release = make_release("e-resources", attributes=(listed,))
    return PolicySet((make_policy("a0", *match or [make_alternative(upstream="wayf")], releases=(release,)),), "d")


def never(name: str, *conditions: Condition) -> SiteRule:
    """Give the rule that an attribute leaves for none of the logins that meet the demands."""
    return SiteRule("a rule", LoginFilter(conditions=conditions), Expectation("", never_releases=(name,)), RULE)


@pytest.mark.parametrize(
    ("policies", "rule", "leaves"),
    [
        (make_policies("a@*"), never("mail"), True),
        (make_policies("a@*"), never("mail", Condition("mail", ("b@*",), RULE)), True),
        (make_policies("b@*", ways=(("mail", "a@*"),)), never("mail"), True),
        (make_policies("a@*"), never("mail", Condition("schacHomeOrganization", ("ku.dk",), RULE)), False),
        # A login has one organisation: with the matched one it has no other, with a mail address it may.
        (
            make_policies("B", name="organizationName", ways=(("organizationName", "A"),)),
            never("organizationName"),
            False,
        ),
        (
            make_policies("B", name="organizationName", ways=(("organizationName", "A"), ("mail", "b@*"))),
            never("organizationName"),
            True,
        ),
    ],
)
def test_a_rare_value_breaks_a_rule_too(policies: PolicySet, rule: SiteRule, *, leaves: bool) -> None:
    """The breach has a login with that value; if no login can have it, there is no breach."""
    breaches = find_breaches(rule, policies, SITE, NOW)
    assert bool(breaches) == leaves
    (name,) = rule.expect.never_releases
    allowed = policies.policies[0].releases[0].attributes[0].values
    for breach in breaches or ():
        assert (breach.deviation.what, breach.deviation.place) == (f"releases {name}", PLACE)
        assert any(value_allowed(value, allowed) for value in breach.login.reading.attributes[name])


@pytest.mark.parametrize(
    ("expect", "upstream", "what"),
    [
        (Expectation("permit"), "wayf", set()),
        (Expectation("deny"), "wayf", {"lets in"}),
        (Expectation("permit"), "nemid", {"refuses for no_affiliation"}),
        (Expectation("deny", reason="too_young"), "nemid", {"gives the reason no_affiliation, not too_young"}),
        (Expectation("", affiliation="guest"), "wayf", {"takes for a0, not guest"}),
        (Expectation("", affiliation="guest"), "nemid", {"takes for nobody, not guest"}),
        (Expectation("", category="STUDENT"), "wayf", {"makes the category none, not STUDENT"}),
        (Expectation("", releases=("mail",)), "nemid", {"does not release mail"}),
    ],
)
def test_each_expectation_is_checked(expect: Expectation, upstream: str, what: set[str]) -> None:
    """At the services and for the logins that the rule names."""
    rule = SiteRule("a rule", LoginFilter(upstreams=(upstream,)), expect, RULE, services=("e-resources",))
    breaches = find_breaches(rule, make_policies("a@*"), SITE, NOW)
    assert breaches is not None
    assert {each.deviation.what for each in breaches} == what
