"""Site rules: one that the analysis proves holds for every login, and one that a login breaks is reported broken."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.entities import Assurance
from broker.core.identity.rights import has_usable_cpr
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.deviations import Deviation
from broker.core.policy.model import (
    Alternative,
    Condition,
    Expectation,
    Policy,
    PolicyLine,
    PolicySet,
    Release,
    ReleasedAttribute,
    Requirement,
)
from broker.core.policy_analysis import plays
from broker.core.policy_analysis.personas import LoginFilter
from broker.core.policy_analysis.site_rules import Breach, SiteRule, find_breaches
from tests.core.policy_analysis.random_policies import (
    NOW,
    POLICY_SETS,
    ROLES,
    SERVICES,
    SITE,
    WORDS,
    RandomLogin,
    random_logins,
)
from tests.plugins.example_counts import scale_examples

SEEDS = st.integers(0, 2**32)
UNTOLD = [HealthCheck.too_slow, HealthCheck.data_too_large]
RULE = PolicyLine("policy_properties.yaml", 1)
PLACE = PolicyLine("a.yaml", 7)
# Some that policies name, beginnings, and some that none of them does.
VALUES = {
    "eduPersonScopedAffiliation": (*ROLES, "student@*", "staff@via.dk", "alum@x.au.dk", "e*"),
    "eduPersonPrimaryAffiliation": ("student", "alum", "a*"),
    "schacHomeOrganization": ("au.dk", "via.dk", "*"),
    "mail": ("a@au.dk", "b@*"),
    "borrower_category": ("STUDENT", "STAFF"),
    "kaldemail_domain": ("auh.rm.dk", "other.example"),
}


def conditions() -> st.SearchStrategy[tuple[Condition, ...]]:
    """Draw conditions on up to two attributes."""

    def draw_condition(name: str) -> st.SearchStrategy[Condition]:
        values = st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=2, unique=True)
        return values.map(lambda chosen: Condition(name, tuple(chosen), RULE))

    names = st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True)
    return names.flatmap(lambda chosen: st.tuples(*map(draw_condition, chosen)))


PARTIAL_LOGINS = st.builds(
    LoginFilter,
    upstreams=st.sampled_from([(), (), ("wayf",), ("nemid", "library")]),
    levels=st.sampled_from([(), (), (Assurance.LOW,), (Assurance.SELF_ASSERTED, Assurance.HIGH)]),
    cpr=st.sampled_from([(), (), ("real",), ("none", "replacement")]),
    ages=st.sampled_from([None, None, range(15), range(16, 200), range(12, 18)]),
    intents=st.sampled_from([(), (), ("a1",), ("a0", "nobody")]),
    borrower=st.sampled_from([None, None, True, False]),
    conditions=conditions(),
)
NAMES = st.lists(st.sampled_from(["cpr", "sn", "borrower_number", *VALUES]), min_size=1, max_size=4, unique=True)
NOTHING = Expectation("")
EXPECTED = st.one_of(
    st.builds(Expectation, effect=st.sampled_from(["permit", "deny"])),
    st.builds(Expectation, st.just("deny"), reason=st.sampled_from(["no_affiliation", "cpr_required", "too_young"])),
    st.builds(Expectation, st.just(""), affiliation=st.sampled_from(["a0", "a1"])),
    st.builds(Expectation, st.just(""), releases=NAMES.map(tuple)),
    st.just(NOTHING),
)
RULES = st.builds(
    SiteRule,
    name=st.just("a rule"),
    when=PARTIAL_LOGINS,
    expect=st.builds(
        lambda expect, never: replace(expect, never_releases=never), EXPECTED, st.just(()) | NAMES.map(tuple)
    ),
    place=st.just(RULE),
    services=st.sampled_from([(), ("my-loans",), ("e-resources",)]),
)


def is_so(login: DescribedLogin, when: LoginFilter, *, local: bool) -> bool:
    """Say, by itself, whether a login is as a rule says: the attributes have one of the values, and so on."""
    reading = login.reading
    has = local or login.borrower is not None
    return (
        (not when.upstreams or login.upstream in when.upstreams)
        and (not when.levels or reading.assurance in when.levels)
        and (not when.cpr or reading.cpr in when.cpr)
        and (when.ages is None or reading.age in when.ages)
        and (not when.intents or login.intent in when.intents)
        and (when.borrower is None or when.borrower == has)
        and all(any(is_met(value, each.values) for value in values(login, each.name)) for each in when.conditions)
    )


def is_led_to(login: DescribedLogin) -> bool:
    """Return whether it is sure that a login's borrower is found, or that it has none."""
    return login.borrower is None or has_usable_cpr(login.reading.ground)


def values(login: DescribedLogin, name: str) -> tuple[str, ...]:
    """Give the values of an attribute that a login brings."""
    return tuple(login.reading.attributes.get(name, ()))


def is_met(value: str, written: tuple[str, ...]) -> bool:
    """Say whether a value is one of those written."""
    return any(value.startswith(each[:-1]) if each.endswith("*") else value == each for each in written)


def breaks(played: PlayedLogin, rule: SiteRule) -> Iterator[str]:
    """Give in what a played login is against a rule, as the messages begin."""
    expect = rule.expect
    effect = "permit" if played.is_permitted else "deny"
    reason = played.reason
    if expect.effect not in {"", effect}:
        yield "lets in" if effect == "permit" else f"refuses for {reason}"
    elif expect.reason not in {None, "ok" if effect == "permit" else reason}:
        yield "gives the reason"
    if expect.affiliation is not None and played.decision.affiliation != expect.affiliation:
        yield "takes for"
    for each in played.leaving:
        if each.name in expect.never_releases or (expect.releases is not None and each.name not in expect.releases):
            yield f"releases {each.name}"


def check(policies: PolicySet, rule: SiteRule, logins: Iterator[RandomLogin]) -> None:
    """Compare what a proof says with what logins show, and its own logins with what it says."""
    breaches = find_breaches(rule, policies, SITE, NOW)
    found = {(each.service, each.deviation.what) for each in breaches or ()}
    for login in logins:
        mine = login.described
        if rule.when.borrower is not None and not is_led_to(mine):
            continue
        if not is_so(mine, rule.when, local=login.source.upstream.local):
            continue
        for service in filter(rule.concerns, SERVICES):
            if login.source.upstream.name in service.methods:
                assert breaches is not None
                for begins in breaks(simulate_login(mine, service, policies, NOW, SITE), rule):
                    assert any(where == service.name and what.startswith(begins) for where, what in found)
    if rule.expect.releases is None:
        confirm(policies, rule, breaches or [])


def confirm(policies: PolicySet, rule: SiteRule, breaches: list[Breach]) -> None:
    """See that the login of each breach is as the rule says, and shows it."""
    services = {service.name: service for service in SERVICES}
    for each in breaches:
        assert is_so(each.login, replace(rule.when, borrower=None), local=False)
        shown = breaks(simulate_login(each.login, services[each.service], policies, NOW, SITE), rule)
        assert any(each.deviation.what.startswith(begins) for begins in shown)


def make_policy(*values: str, name: str = "mail", ways: tuple[tuple[str, str], ...] = ()) -> PolicySet:
    """Give a policy that releases only these values, to logins that meet one of some conditions; without any to all of wayf."""
    upstream = Condition("upstream", ("wayf",), PLACE)
    listed = ReleasedAttribute(name, WORDS, PLACE, values)
    release = Release("e-resources", "none", "public_task", WORDS, "transient", (listed,), place=PLACE)
    match = tuple(Alternative((upstream, Condition(name, (value,), PLACE)), PLACE) for name, value in ways)
    everybody = (Alternative((upstream,), PLACE),)
    policy = Policy("a.yaml", "a0", 1, WORDS, "o", NOW.date(), match or everybody, (), Requirement(), None, (release,))
    return PolicySet((policy,), "d")


def never(name: str, *conditions: Condition) -> SiteRule:
    """Give the rule that an attribute leaves for none of the logins that meet the demands."""
    return SiteRule("a rule", LoginFilter(conditions=conditions), Expectation("", never_releases=(name,)), RULE)


@pytest.mark.parametrize(
    ("policies", "rule", "leaves"),
    [
        (make_policy("a@*"), never("mail"), True),
        (make_policy("a@*"), never("mail", Condition("mail", ("b@*",), RULE)), True),
        (make_policy("b@*", ways=(("mail", "a@*"),)), never("mail"), True),
        (make_policy("a@*"), never("mail", Condition("schacHomeOrganization", ("ku.dk",), RULE)), False),
        # A login has one organisation: with the matched one it has no other, with a mail address it may.
        (
            make_policy("B", name="organizationName", ways=(("organizationName", "A"),)),
            never("organizationName"),
            False,
        ),
        (
            make_policy("B", name="organizationName", ways=(("organizationName", "A"), ("mail", "b@*"))),
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
        assert breach.deviation == Deviation(f"releases {name}", PLACE)
        assert any(is_met(value, allowed) for value in values(breach.login, name))


def test_a_rule_that_no_file_can_break_simulates_one_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand files that list no CPR number are checked at once, and the rule still selects logins."""
    played_logins: list[str] = []

    def simulate_and_note(*given: Any) -> PlayedLogin:
        played_logins.append("one")
        return simulate_login(*given)

    monkeypatch.setattr(plays, "simulate_login", simulate_and_note)
    for name, some in (("gn", False), ("mail", True)):
        played_logins.clear()
        breaches = find_breaches(never(name), make_policy("a@*"), SITE, NOW)
        assert breaches is not None
        assert (bool(breaches), len(played_logins) > 1) == (some, some)


@settings(max_examples=scale_examples(6), suppress_health_check=UNTOLD)
@given(POLICY_SETS, RULES, SEEDS)
def test_a_rule_that_is_proved_holds_for_every_login(policies: PolicySet, rule: SiteRule, seed: int) -> None:
    """And one that any login breaks is reported, with a login that breaks it so."""
    check(policies, rule, random_logins(Random(seed), 40))
