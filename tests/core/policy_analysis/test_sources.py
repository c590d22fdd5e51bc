"""Where logins come from: what is not known of an institution leaves all possible."""

from dataclasses import replace
from random import Random

import pytest

from broker.core.entities import Assurance, Names
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
from broker.core.policy_analysis.differences import find_differences
from broker.core.policy_analysis.plays import Analysis
from broker.core.policy_analysis.sources import Site, list_sources
from broker.core.policy_analysis.two_sites import read_login
from tests.core.policy_analysis.random_policies import (
    LOCAL,
    MAPS,
    NOW,
    SERVICES,
    UNIVERSITY,
    UPSTREAMS,
    WORDS,
    random_logins,
)

LEFT = frozenset({"scopes"})
PLACE = PolicyLine("a.yaml", 1)


@pytest.mark.parametrize(
    ("scopes", "unwritten", "found"),
    [(("au.dk",), frozenset(), ("au.dk",)), (("au.dk",), LEFT, ("au.dk",)), ((), frozenset(), ()), ((), LEFT, None)],
)
def test_scopes_that_are_not_at_hand_may_be_any(scopes: Names, unwritten: frozenset[str], found: Names | None) -> None:
    """A feed that is away must not make what it lets through invisible; written as none they are none."""
    institution = replace(UNIVERSITY, scopes=scopes, unwritten=unwritten)
    (source,) = list_sources(replace(UPSTREAMS["wayf"], institutions=(institution,)), MAPS)
    assert source.scopes == found


@pytest.mark.parametrize("stated", [None, Assurance.LOW])
def test_a_stated_assurance_is_that_of_logins_without_one(stated: Assurance | None) -> None:
    """So `policy diff` shows whom a changed statement lets in."""
    institution = replace(UNIVERSITY, assurance=stated)
    (source,) = list_sources(replace(UPSTREAMS["wayf"], institutions=(institution,)), MAPS)
    logins = [each.described for each in random_logins(Random(1), 200) if each.described.upstream == "wayf"]
    without = [each for each in logins if each.reading.assurance is None]
    read = [read_login(each, source, SERVICES[0]) for each in without]
    assert {each.reading.assurance for each in read if each.fault is None} == {stated}


def policy(at: int, *names: str, mail: str = "") -> Policy:
    """Give a policy for all of wayf, or for those with a mail address that begins so, that releases something."""
    upstream = Condition("upstream", ("wayf",), PLACE)
    conditions = (upstream, Condition("mail", (mail,), PLACE)) if mail else (upstream,)
    listed = tuple(ReleasedAttribute(name, WORDS, PLACE) for name in names)
    entry = Release("my-loans", "none", "public_task", WORDS, "transient", listed, PLACE)
    match = (Alternative(conditions, PLACE),)
    return Policy(f"a{at}.yaml", f"a{at}", at, WORDS, "o", NOW.date(), match, (), Requirement(), None, (entry,))


def test_an_address_that_only_a_proof_gives_is_seen() -> None:
    """Where an institution names none, people prove one: what that lets through is wider."""
    kept = tuple(row for row in MAPS["wayf"].rows if row.name != "mail")
    maps = {**MAPS, "wayf": replace(MAPS["wayf"], rows=kept)}
    site = Site(tuple(list_sources(UPSTREAMS["wayf"], maps)), SERVICES)
    before = PolicySet((policy(0, "sn"),), "before")
    after = PolicySet((policy(0, "sn"), policy(1, "sn", "gn", mail="b@post.*")), "after")
    rows_found = find_differences(Analysis((before, after), site, NOW)).rows
    assert "WIDER + gn" in {f"{row.change.direction} {row.change.text}" for row in rows_found}


def test_a_login_by_the_account_has_no_address() -> None:
    """The library system tells of a category alone."""
    (local,) = LOCAL
    (source,) = list_sources(UPSTREAMS[local], MAPS)
    assert source.shape("mail") is None
