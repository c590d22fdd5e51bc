"""The proof that the classes are complete: whatever login there is falls in one that decides as it does."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.analysis.login_classes import Classes, LoginClass, Member
from broker.core.analysis.modelled_matching import Demand, ModelledSet
from broker.core.analysis.modelled_requirements import Rights
from broker.core.analysis.modelled_sets import ModelledSets
from broker.core.analysis.outcomes import MADE, Outcome, described, outcome, read_without
from broker.core.analysis.partial_logins import PartialLogin
from broker.core.analysis.source_kinds import SourceKinds, Vocabulary
from broker.core.analysis.sources import Source
from broker.core.consent.disclosure import looked_up
from broker.core.entities import Assurance, Service
from broker.core.login.described_login import DescribedBorrower, DescribedLogin, IdealTerms
from broker.core.login.ideal_login import play
from broker.core.login.login_decision import login_facts
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import Issue
from broker.core.policy.model import Field, Policy, PolicySet
from broker.files.policies import live_policies
from tests.plugins.drawn import drawn
from tests.plugins.random_edits import edited
from tests.plugins.random_policies import LOCAL, NOW, POLICY_SETS, SERVICES, SOURCES, TODAY, RandomLogin, random_logins

SEEDS = st.integers(0, 2**32)
UNTOLD = [HealthCheck.too_slow, HealthCheck.data_too_large]


class Model:
    """The classes of each source under one set, or two that are compared."""

    def __init__(self, sets: tuple[PolicySet, ...]) -> None:
        """Take the sets."""
        self.sets = sets
        self.vocabulary = Vocabulary.of(sets)
        self.known: dict[int, tuple[Classes, dict[LoginClass, Member]]] = {}

    def of(self, source: Source) -> tuple[Classes, dict[LoginClass, Member]]:
        """Give the classes of a source, with a member of each."""
        at = SOURCES.index(source)
        if at not in self.known:
            kinds = SourceKinds.of(source, self.vocabulary)
            classes = Classes(at, kinds, tuple(ModelledSet(each, TODAY) for each in self.sets))
            self.known[at] = (classes, dict(classes.members()))
        return self.known[at]


def played(login: DescribedLogin, service: Service, source: Source, policies: PolicySet) -> PlayedLogin:
    """Play a login to its end."""
    return play(login, service, policies, NOW, IdealTerms(giver=source.giver, local=LOCAL))


def led_to(login: DescribedLogin, right: Rights) -> DescribedBorrower | None:
    """Give the borrower of a login as its class has it: one that something leads to, or none."""
    there = login.borrower
    if there is None:
        return None
    return DescribedBorrower(there.category, linked=True) if there.linked or right.can_request else None


def check(login: RandomLogin, model: Model, service: Service) -> None:
    """Compare a login with the one that stands for its class, each as the set reads it."""
    classes, members = model.of(login.source)
    mine = login.read(*model.sets)
    found = classes.class_of(login_facts(mine.reading, upstream=mine.upstream, intent=mine.intent))
    assert found in members
    for policies, right, hidden in zip(model.sets, found.rights, classes.hidden, strict=True):
        stands_for = read_without(described(members[found], classes.kinds, led_to(mine, right)), hidden)
        expected = outcome(played(stands_for, service, login.source, policies), classes.kinds, policies)
        ended = played(login.read(policies), service, login.source, policies)
        assert outcome(ended, classes.kinds, policies) == expected
        compare_values(ended, expected, model.vocabulary)
        compare_question(ended)


def compare_values(played: PlayedLogin, expected: Outcome, vocabulary: Vocabulary) -> None:
    """Compare what leaves with the kinds of values that leave of the class: no value more, and none less."""
    leaving = {each.name: each.values for each in played.leaving}
    for listed in expected.leaving:
        if listed.patterns == {MADE}:
            assert leaving.pop(listed.name)
            continue
        named = vocabulary.named[listed.name]
        sent = played.facts.attributes.get(listed.name, ())
        allowed = tuple(value for value in sent if named.pattern_of(value) in listed.patterns)
        assert leaving.pop(listed.name, ()) == allowed
    assert leaving == {}


def compare_question(played: PlayedLogin) -> None:
    """See that the question comes up as the terms and what leaves have it, which classes leave out."""
    release = played.decision.release
    if not isinstance(played.end, Issue) or release is None:
        return
    # The number of a borrower is listed before there is one.
    names = {listed.name for listed, _ in played.decision.released}
    ours = names & {"borrower_number", "kaldemail_domain"}
    covered = release.notice == "upstream" and release.legal_basis != "consent"
    if release.name_id == "persistent" or looked_up(played.decision):
        assert played.asked
    else:
        assert (played.asked is not None) == bool(ours if covered else names)


EDITED = st.tuples(POLICY_SETS, SEEDS).map(lambda both: (both[0], edited(Random(both[1]), both[0])))
SETS = st.one_of(POLICY_SETS.map(lambda policies: (policies,)), EDITED)

SHIPPED = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)


def surer(policy: Policy) -> Policy:
    """Give the policy with accounts made of people of a higher level alone."""
    return replace(policy, require=replace(policy.require, assurance=Assurance.HIGH))


def by_proof(policy: Policy) -> Policy:
    """Give the policy with accounts that have an address only if a hospital's mailbox was shown."""
    rule = policy.borrower
    if rule is None:
        return policy
    email = Field("email", "proof.kaldemail", "create", rule.place)
    return replace(policy, borrower=replace(rule, fields=(email,)))


SURER = PolicySet(tuple(map(surer, SHIPPED.policies)), "surer")
BY_PROOF = PolicySet(tuple(map(by_proof, SHIPPED.policies)), "by proof")
STUDENTS = PartialLogin(demands=(Demand("eduPersonScopedAffiliation", ("student@*", "alum@x.au.dk")),))


def every_class(classes: Classes) -> Iterator[tuple[LoginClass, object]]:
    """Give the class of each person with each number and all attributes that count, one by one."""
    for decidings, known, kinds, intent in classes._people():
        numbers = [person for person, *_ in classes._numbers(decidings, known)]
        presences = [present for present, _ in classes._told_presences(decidings, kinds)]
        for person, present, verified in product(numbers, presences, (True, False)):
            login = described(Member(kinds, person, intent, present, verified), classes.kinds, None)
            facts = login_facts(login.reading, upstream=login.upstream, intent=intent)
            yield classes.class_of(facts), classes._told_apart(kinds)


def check_every_class(sets: tuple[PolicySet, ...], only: PartialLogin | None) -> None:
    """Compare the classes, each with what tells it apart, with those of the people one by one."""
    modelled = ModelledSets.of(sets, only.demands if only else ())
    for at, source in enumerate(SOURCES):
        classes = Classes(at, modelled.kinds(source), modelled.on(TODAY), only)
        members = [(found, classes._told_apart(member.kinds)) for found, member in classes.members()]
        assert members == list(dict.fromkeys(every_class(classes)))


@pytest.mark.long("analyses the shipped policies person by person; what is drawn of any policies stays")
@pytest.mark.parametrize(
    ("sets", "only"),
    [
        ((SHIPPED,), None),
        ((BY_PROOF,), None),
        ((SHIPPED,), STUDENTS),
        ((SHIPPED, SURER), None),
        ((SURER, SHIPPED), None),
    ],
    ids=["one set", "an address that few have", "of those that are so", "more is asked after", "more is asked before"],
)
def test_whoever_is_passed_over_adds_no_class(sets: tuple[PolicySet, ...], only: PartialLogin | None) -> None:
    """Numbers and ages are tried with one person of each kind, and each kind of person is tried."""
    check_every_class(sets, only)


@settings(max_examples=drawn(5), suppress_health_check=UNTOLD)
@given(SETS, st.sampled_from([None, STUDENTS]))
def test_whoever_is_passed_over_adds_no_class_of_any_policies(
    sets: tuple[PolicySet, ...], only: PartialLogin | None
) -> None:
    """The same, of random sets alone and compared."""
    check_every_class(sets, only)


@pytest.mark.long("analyses each policy set that it draws")
@settings(max_examples=drawn(30), suppress_health_check=UNTOLD)
@given(SETS, SEEDS, st.sampled_from(SERVICES))
def test_every_login_falls_in_a_class_that_decides_the_same(
    sets: tuple[PolicySet, ...], seed: int, service: Service
) -> None:
    """Of any policies, or two that are compared, whatever is asserted: steps, borrower and what leaves agree."""
    model = Model(sets)
    for login in random_logins(Random(seed), 12):
        check(login, model, service)


@pytest.mark.slow(seconds=15)
@settings(max_examples=drawn(60), suppress_health_check=UNTOLD)
@given(SETS, SEEDS, st.sampled_from(SERVICES))
def test_thousands_of_logins_fall_in_a_class(sets: tuple[PolicySet, ...], seed: int, service: Service) -> None:
    """The same, with more than two thousand logins."""
    model = Model(sets)
    for login in random_logins(Random(seed), 40):
        check(login, model, service)
