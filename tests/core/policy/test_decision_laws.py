"""Laws of the decision that hold for any policies and any login."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.entities import Assurance, Controller, Service
from broker.core.identity.canonical_attributes import Attributes
from broker.core.policy.decision import evaluate
from broker.core.policy.model import (
    Alternative,
    Condition,
    Decision,
    Effect,
    LoginFacts,
    Policy,
    PolicySet,
    Release,
    ReleasedAttribute,
    Requirement,
)
from tests.plugins.core_values import NOW, PLACE, WORDS, make_policy, make_release
from tests.plugins.example_counts import scale_examples

CATEGORY = "https://category.example/library"
LOANS = Service("my-loans", "x", WORDS, ("wayf",), Controller(WORDS), categories=(CATEGORY,), encrypts=True)


def policy(at: int, match: list[Alternative], entry: Release) -> Policy:
    """Give the policy of precedence ``at``."""
    return make_policy(f"a{at}", *match, precedence=at, releases=(entry,))


def decide(login: LoginFacts, service: Service, *policies: Policy) -> Decision:
    """Decide by these policies alone."""
    return evaluate(PolicySet(policies, "d"), login, service, NOW)


WORD = st.sampled_from(["wayf", "nemid", "student@au.dk", "employee@au.dk", "au.dk", "x", ""])
PATTERN = WORD | WORD.map(lambda word: word[:3] + "*")
NAME = st.sampled_from(["role", "home", "sn", "cpr", "mail"])
CONDITION = st.builds(Condition, NAME, st.lists(PATTERN, min_size=1, max_size=3).map(tuple), st.just(PLACE))
UPSTREAM = st.sampled_from(["wayf", "nemid"]).map(lambda name: Condition("upstream", (name,), PLACE))
LEVEL = st.sampled_from(["low", "high"]).map(lambda name: Condition("assurance", (name,), PLACE))
ALTERNATIVE = st.lists(UPSTREAM | LEVEL | CONDITION, max_size=3).map(lambda drawn: Alternative(tuple(drawn), PLACE))
LISTED = st.builds(
    ReleasedAttribute,
    name=NAME | st.just("borrower_number"),
    why=st.just(WORDS),
    place=st.just(PLACE),
    values=st.lists(PATTERN, max_size=2).map(tuple),
)
RELEASE = st.builds(
    make_release,
    st.sampled_from(["my-loans", CATEGORY]),
    borrower=st.sampled_from(["make", "need", "none"]),
    attributes=st.lists(LISTED, unique_by=lambda each: each.name, max_size=4).map(tuple),
)
POLICIES = st.lists(st.tuples(st.lists(ALTERNATIVE, min_size=1, max_size=3), RELEASE), min_size=1, max_size=5).map(
    lambda drawn: [policy(at, match, entry) for at, (match, entry) in enumerate(drawn)]
)
LOGINS = st.builds(
    LoginFacts,
    upstream=st.sampled_from(["wayf", "nemid", "other"]),
    attributes=st.dictionaries(NAME, st.lists(WORD, min_size=1, max_size=3, unique=True).map(tuple)).map(Attributes),
    assurance=st.sampled_from([None, *Assurance]),
    cpr=st.sampled_from(["real", "replacement", "constructed", "invalid", "none"]),
    age=st.none() | st.integers(0, 120),
    intent=st.sampled_from([None, "a0", "a1", "private"]),
    borrower=st.sampled_from([None, True, False]),
)


@settings(max_examples=scale_examples(40))
@given(POLICIES, LOGINS)
def test_only_listed_attributes_that_were_sent_are_released(policies: list[Policy], login: LoginFacts) -> None:
    """Released is a part of the attributes and of the entry; each attribute of the person has exactly one fate."""
    decision = decide(login, LOANS, *policies)
    for listed, values in decision.released:
        assert decision.release is not None
        assert listed in decision.release.attributes
        assert set(values) <= set(login.attributes.get(listed.name, ()))
        assert values or listed.name == "borrower_number"
    names = [each.name for each in decision.fates]
    assert len(names) == len(set(names))
    assert set(login.attributes) <= set(names)
    assert decision.effect is Effect.PERMIT or not decision.released


@settings(max_examples=scale_examples(40))
@given(POLICIES, LOGINS, NAME, PATTERN)
def test_one_condition_more_never_widens(policies: list[Policy], login: LoginFacts, name: str, value: str) -> None:
    """A login that matches with one more condition matched without it."""
    extra = Condition(name, (value,), PLACE)
    narrowed = [
        replace(each, match=tuple(replace(way, conditions=(*way.conditions, extra)) for way in each.match))
        for each in policies
    ]
    for wide, narrow in zip(policies, narrowed, strict=True):
        if decide(login, LOANS, narrow).affiliation is not None:
            assert decide(login, LOANS, wide).affiliation == narrow.affiliation


@settings(max_examples=scale_examples(40))
@given(POLICIES.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))), LOGINS)
def test_the_order_of_files_is_irrelevant(drawn: tuple[list[Policy], list[Policy]], login: LoginFacts) -> None:
    """Precedence alone decides."""
    assert decide(login, LOANS, *drawn[0]) == decide(login, LOANS, *drawn[1])


@settings(max_examples=scale_examples(40))
@given(POLICIES, LOGINS)
def test_the_index_leaves_no_match_out(policies: list[Policy], login: LoginFacts) -> None:
    """Asking every file alone finds the same affiliation as the index over all of them."""
    login = replace(login, intent=None)
    alone = [each for each in policies if decide(login, LOANS, each).affiliation]
    highest = max(alone, key=lambda each: each.precedence).affiliation if alone else None
    assert decide(login, LOANS, *policies).affiliation == highest


REQUIREMENT = st.builds(
    Requirement,
    cpr=st.booleans(),
    assurance=st.sampled_from([None, *Assurance]),
    age=st.none() | st.integers(1, 20),
    upstream=st.sampled_from([(), ("nemid",)]),
)


@settings(max_examples=scale_examples(40))
@given(POLICIES, REQUIREMENT, LOGINS)
def test_a_borrower_changes_no_permit(policies: list[Policy], require: Requirement, login: LoginFacts) -> None:
    """A login that is permitted without a borrower gets the same decision with one."""
    demanding = [replace(each, require=require) for each in policies]
    before = decide(replace(login, borrower=None), LOANS, *demanding)
    after = decide(replace(login, borrower=True), LOANS, *demanding)
    assert before.effect is Effect.DENY or after == before
