"""The differences between two policy sets: nothing that any login shows is missing from them."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.directed_change import Direction
from broker.core.analysis.set_differences import Difference, difference
from broker.core.entities import Service
from broker.core.login.described_login import IdealTerms
from broker.core.login.ideal_login import play
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import PolicySet
from tests.plugins.drawn import drawn
from tests.plugins.random_policies import LOCAL, NOW, POLICY_SETS, SERVICES, SOURCES, RandomLogin, random_logins

SITE = Site(SOURCES, SERVICES)
SEEDS = st.integers(0, 2**32)
UNTOLD = [HealthCheck.too_slow, HealthCheck.data_too_large]


def edited(before: PolicySet, other: PolicySet, at: int) -> PolicySet:
    """Give the set with one policy written anew, under its old name and precedence."""
    at %= len(before.policies)
    old, new = before.policies[at], other.policies[0]
    written = replace(new, file=old.file, affiliation=old.affiliation, precedence=old.precedence)
    return PolicySet((*before.policies[:at], written, *before.policies[at + 1 :]), "after")


EDITS = st.tuples(POLICY_SETS, POLICY_SETS, st.integers(0, 3)).map(lambda drawn: (drawn[0], edited(*drawn)))


def played(login: RandomLogin, service: Service, policies: PolicySet) -> PlayedLogin:
    """Play a login to its end."""
    return play(login.described, service, policies, NOW, IdealTerms(giver=login.source.giver, local=LOCAL))


def wider(before: PlayedLogin, after: PlayedLogin) -> Iterator[str]:
    """Give how the rows begin that must be there as WIDER for what a login shows."""
    if after.permitted and not before.permitted:
        yield "let in"
    old = {each.name: set(each.values) for each in before.leaving}
    for each in after.leaving:
        if each.name not in old or set(each.values) - old[each.name]:
            yield f"+ {each.name}"
    if before.disclosure and after.disclosure:
        bases = (before.disclosure.legal_basis, after.disclosure.legal_basis)
        if bases == ("consent", "public_task"):
            yield "legal basis"


def shown(found: Difference, direction: Direction, service: Service, beginning: str) -> bool:
    """Say whether a row of this direction at this service begins so."""
    return any(
        row.change.direction is direction and row.service == service.name and row.change.text.startswith(beginning)
        for row in found.rows
    )


def check(before: PolicySet, after: PolicySet, seed: int, many: int) -> None:
    """Compare what random logins show with the rows."""
    found = difference(Analysis((before, after), SITE, NOW))
    draw = Random(seed)
    for login in random_logins(draw, many):
        service = draw.choice(SERVICES)
        old, new = played(login, service, before), played(login, service, after)
        for beginning in wider(old, new):
            assert shown(found, Direction.WIDER, service, beginning)
        for beginning in wider(new, old):
            if beginning.startswith("+"):
                assert shown(found, Direction.NARROWER, service, beginning.replace("+", "-", 1))
        if old.permitted and not new.permitted:
            assert shown(found, Direction.REFUSED, service, new.reason)


@settings(max_examples=drawn(6), suppress_health_check=UNTOLD)
@given(EDITS, SEEDS)
def test_no_login_shows_what_no_row_tells(edit: tuple[PolicySet, PolicySet], seed: int) -> None:
    """Of any edit of any set: more that leaves is WIDER, less is narrower, and a refusal is told."""
    check(*edit, seed, 25)


@pytest.mark.slow
@settings(max_examples=drawn(20), suppress_health_check=UNTOLD)
@given(EDITS, SEEDS)
def test_ten_thousand_logins_show_what_the_rows_tell(edit: tuple[PolicySet, PolicySet], seed: int) -> None:
    """And never is a WIDER missed."""
    check(*edit, seed, 500)


@settings(max_examples=drawn(3), suppress_health_check=UNTOLD)
@given(POLICY_SETS)
def test_a_set_differs_in_nothing_from_itself(policies: PolicySet) -> None:
    """No row, whatever the set."""
    found = difference(Analysis((policies, replace(policies)), SITE, NOW))
    assert (found.rows, found.same, found.wider) == ((), found.all_pairs, False)
