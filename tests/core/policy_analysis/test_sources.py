"""Where logins come from: what is not known of an institution leaves all possible."""

from dataclasses import replace

import pytest

from broker.core.entities import Assurance, Names, Upstream
from broker.core.login.given_facts import GivenFacts, describe_login
from broker.core.login.site import Site
from broker.core.policy.model import Policy, PolicySet
from broker.core.policy_analysis.differences import find_differences
from broker.core.policy_analysis.sample_logins import Analysis
from broker.core.policy_analysis.sources import list_sources
from tests.core.policy_analysis.random_logins import LOCAL, MAPS, SITE, UNIVERSITY, UPSTREAMS
from tests.plugins.core_values import NOW, make_alternative, make_policy, make_release

LEFT = frozenset({"scopes"})


@pytest.mark.parametrize(
    ("scopes", "unwritten", "foreign"),
    [(("au.dk",), frozenset(), False), (("au.dk",), LEFT, False), ((), frozenset(), False), ((), LEFT, True)],
)
def test_scopes_that_are_not_at_hand_may_be_any(scopes: Names, unwritten: frozenset[str], *, foreign: bool) -> None:
    """A feed that is away must not make what it lets through invisible; written as none they are none."""
    institution = replace(UNIVERSITY, scopes=scopes, unwritten=unwritten)
    (source,) = list_sources(site_of(replace(UPSTREAMS["wayf"], institutions=(institution,))))
    assert source.has_value("eduPersonScopedAffiliation", "student@ku.dk", ()) == foreign


@pytest.mark.parametrize("stated", [None, Assurance.LOW])
def test_a_stated_assurance_is_that_of_logins_without_one(stated: Assurance | None) -> None:
    """So `policy diff` shows whom a changed statement lets in."""
    institution = replace(UNIVERSITY, assurance=stated)
    site = site_of(replace(UPSTREAMS["wayf"], institutions=(institution,)))
    facts = GivenFacts("wayf", institution.entity_id)
    assert describe_login(facts, site, PolicySet((), "d"), NOW).reading.assurance == stated


def site_of(upstream: Upstream) -> Site:
    """Give the site with one upstream."""
    return Site(SITE.services, {upstream.name: upstream}, MAPS)


def policy(at: int, *names: str, mail: str = "") -> Policy:
    """Give a policy for all of wayf, or for those with a mail address that begins so, that releases something."""
    conditions = {"upstream": "wayf", **({"mail": mail} if mail else {})}
    match = make_alternative(**conditions)
    return make_policy(f"a{at}", match, precedence=at, releases=(make_release("my-loans", *names),))


def test_an_address_that_only_a_proof_gives_is_seen() -> None:
    """Where an institution names none, people prove one: what that lets through is wider."""
    kept = tuple(row for row in MAPS["wayf"].rows if row.name != "mail")
    maps = {**MAPS, "wayf": replace(MAPS["wayf"], rows=kept)}
    site = Site(SITE.services, {"wayf": UPSTREAMS["wayf"]}, maps)
    before = PolicySet((policy(0, "sn"),), "before")
    after = PolicySet((policy(0, "sn"), policy(1, "sn", "gn", mail="b@post.*")), "after")
    rows_found = find_differences(Analysis((before, after), (site,), NOW)).rows
    assert "WIDER + gn" in {f"{row.change.direction} {row.change.text}" for row in rows_found}


def test_a_login_by_the_account_has_no_address() -> None:
    """The library system tells of a category alone."""
    (local,) = LOCAL
    (source,) = list_sources(site_of(UPSTREAMS[local]))
    assert not source.has_value("mail", "a@au.dk", ())
