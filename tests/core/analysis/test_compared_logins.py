"""Every class of logins at every service: the site that two sets are compared for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.analysis.compared_logins import Analysis, ComparedLogin, Site
from broker.core.analysis.modelled_matching import Demand
from broker.core.analysis.outcomes import outcome, read_without
from broker.core.analysis.partial_logins import PartialLogin
from broker.core.analysis.sources import Source
from broker.core.entities import Assurance
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.login.described_login import IdealTerms
from broker.core.login.ideal_login import play
from broker.core.policy.model import Alternative, Condition, Policy, PolicyLine, PolicySet, ProofRule
from broker.files.policies import live_policies
from tests.plugins.drawn import drawn
from tests.plugins.random_edits import edited
from tests.plugins.random_policies import LOCAL, NOW, POLICY_SETS, SERVICES, SOURCES

UNTOLD = [HealthCheck.too_slow, HealthCheck.data_too_large]
EDITED = st.tuples(POLICY_SETS, st.integers(0, 2**32)).map(lambda both: (both[0], edited(Random(both[1]), both[0])))
SHIPPED = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)
SETS = st.one_of(POLICY_SETS.map(lambda policies: (policies,)), EDITED)
PARTIAL_LOGINS = st.builds(
    PartialLogin,
    levels=st.sampled_from([(), (Assurance.LOW,), (Assurance.SELF_ASSERTED, Assurance.HIGH)]),
    cpr=st.sampled_from([(), ("real",), ("none", "replacement")]),
    intents=st.sampled_from([(), ("a1",)]),
    borrower=st.sampled_from([None, True, False]),
    demands=st.sampled_from(
        [
            (),
            (Demand("eduPersonScopedAffiliation", ("student@*", "alum@x.au.dk")),),
            (Demand("mail", ("a@au.dk",)), Demand("schacHomeOrganization", ("*",))),
        ]
    ),
)


def recalls_alike(sets: Iterable[PolicySet]) -> bool:
    """Say whether earlier proofs are looked up under all sets, or under none, of each upstream."""
    return len({policies.provable for policies in sets}) == 1


def afresh(login: ComparedLogin, analysis: Analysis, at: int, sources: Sequence[Source] = SOURCES) -> object:
    """Play a login by itself, as if nothing had been played before."""
    source = sources[login.found.source]
    kinds = analysis.asked.kinds(source)
    policies = analysis.sets[at]
    read = read_without(login.login, kinds.vocabulary.hidden(policies))
    terms = IdealTerms(giver=source.giver, local=LOCAL)
    return outcome(play(read, login.service, policies, analysis.at(login.day), terms), kinds, policies)


@settings(max_examples=drawn(5), suppress_health_check=UNTOLD)
@given(SETS)
def test_what_was_played_once_comes_of_each_login_that_it_stands_for(sets: tuple[PolicySet, ...]) -> None:
    """Most logins are not played, but take what came of one that differs in nothing that counts: so would they."""
    analysis = Analysis(sets, Site(SOURCES, SERVICES), NOW)
    if not recalls_alike(sets):
        return
    for login in analysis.logins():
        assert [afresh(login, analysis, at) for at in range(len(sets))] == list(login.outcomes)


def other_domains(policies: PolicySet) -> PolicySet:
    """Give the set with a proof of the hospital's that is asked for under other terms."""
    hospital = policies.named["hospital"]
    proofs = tuple(replace(each, code_valid_for=timedelta(minutes=5)) for each in hospital.proofs)
    return with_policy(policies, replace(hospital, proofs=proofs))


def another_word(policies: PolicySet) -> PolicySet:
    """Give the set with a policy that knows an affiliation which the others withhold."""
    value = Condition("eduPersonScopedAffiliation", ("studying@au.dk",), PolicyLine("new.yaml", 9))
    way = Alternative((Condition("upstream", ("wayf",), value.place), value), value.place)
    new = replace(policies.named["hospital"], affiliation="studying", precedence=1, match=(way,), proofs=())
    return PolicySet((*policies.policies, new), "after")


def highest_gone(policies: PolicySet) -> PolicySet:
    """Give the set without its highest policy, so that each of the others stands at another place."""
    return PolicySet(policies.policies[1:], "after")


def address_remembered(policies: PolicySet) -> PolicySet:
    """Give the set with a policy by which an address that anybody has shown is remembered for a day."""
    rule = ProofRule(MAIL_PROOF, (), timedelta(minutes=30), timedelta(days=1))
    hospital = policies.named["hospital"]
    return with_policy(policies, replace(hospital, proofs=(*hospital.proofs, rule)))


def with_policy(policies: PolicySet, changed: Policy) -> PolicySet:
    """Give the set with one policy in the place of that of its name."""
    others = (each for each in policies.policies if each.affiliation != changed.affiliation)
    return PolicySet((*others, changed), "after")


def freely_released(policies: PolicySet) -> PolicySet:
    """Give the set with all affiliations of a student leaving for the electronic resources."""
    student = policies.named["student"]
    *others, last = student.releases
    listed = tuple(replace(each, values=()) for each in last.attributes)
    return with_policy(policies, replace(student, releases=(*others, replace(last, attributes=listed))))


@pytest.mark.long("plays each login of the shipped policies anew; what is drawn of any policies stays")
@pytest.mark.parametrize(
    ("edit", "upstream"),
    [(other_domains, "nemid"), (another_word, "wayf"), (highest_gone, "wayf"), (address_remembered, "nemid")],
    ids=[
        "a proof that is offered",
        "an affiliation that one set withholds",
        "a place among the others",
        "how long an address is remembered",
    ],
)
def test_a_policy_that_stands_is_played_for_each_set_where_something_else_of_the_set_counts(
    edit: Callable[[PolicySet], PolicySet], upstream: str
) -> None:
    """What came of a login under one set is taken for the other only where that would come of it there."""
    before = freely_released(SHIPPED)
    sources = tuple(each for each in SOURCES if each.upstream == upstream)
    analysis = Analysis((before, edit(before)), Site(sources, SERVICES), NOW)

    for login in analysis.logins():
        assert [afresh(login, analysis, at, sources) for at in range(2)] == list(login.outcomes)


@settings(max_examples=drawn(8), suppress_health_check=UNTOLD)
@given(POLICY_SETS, PARTIAL_LOGINS)
def test_a_class_comes_to_the_same_in_whatever_way_its_logins_are_so(policies: PolicySet, when: PartialLogin) -> None:
    """A rule that holds where each class comes once holds in each way to be as it says."""
    analysis = Analysis((policies,), Site(SOURCES, SERVICES), NOW, only=when)
    apart, once = [
        {(each.found, each.service.name, each.day, each.login.borrower, each.outcomes) for each in found}
        for found in (analysis.logins(), analysis.logins(apart=False))
    ]
    assert apart == once


def test_what_a_service_publishes_now_holds_nothing_back() -> None:
    """It may publish a key, or ask for more, as soon as a set is in force; what is written here stays."""
    site = Site(SOURCES, SERVICES)
    shy = [replace(each, encrypts=False, required=frozenset(), subject_id_req="none") for each in SERVICES]
    assert Site(SOURCES, tuple(shy)).as_peers_may_become == site.as_peers_may_become
    for before, after in zip(site.services, site.as_peers_may_become.services, strict=True):
        assert (after.encrypts, after.required, after.subject_id_req) == (True, None, None)
        assert replace(after, encrypts=before.encrypts, required=before.required) == replace(
            before, subject_id_req=None
        )
