"""A refusal is replayed from the recorded facts: the result today, or the facts that it depends on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.configuration.policies import live_policies
from broker.core.entities import Assurance, Text, Upstream
from broker.core.identity.canonical_attributes import CPR_STAND_IN, AttributeReading, Attributes, Values, assume_ground
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.login_simulation import simulate_login
from broker.core.login.refused_facts import VALUES_KEPT, RefusedFacts, collect_refused_facts
from broker.core.login.site import Site
from broker.core.login.transaction import Authentication, AuthnRequest, Person, Transaction
from broker.core.policy.model import Alternative, Condition, Policy, PolicyLine, PolicySet, Requirement, ideal_service
from broker.use_cases.policy_trials.explanations import replay_refusal
from broker.use_cases.policy_trials.login_trials import TrialSite

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POLICIES = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)
AU: dict[str, Values] = {"schacHomeOrganization": ("au.dk",)}
SECRET = "nobody-may-read-this"
PLACE = PolicyLine("private.yaml", 99)
UPSTREAMS = {name: Upstream(name, "wayf", name, name, name, Text(name, name), ()) for name in ("wayf", "nemid")}
SITE = Site({}, UPSTREAMS, {})


def login(
    upstream: str, attributes: dict[str, Values], assurance: Assurance | None, cpr: str, age: int | None
) -> DescribedLogin:
    """Describe a login; a number is its kind."""
    numbered = {**attributes, "cpr": CPR_STAND_IN} if cpr != "none" else attributes
    reading = AttributeReading(Attributes(numbered), assurance, cpr, age)
    return DescribedLogin(upstream, reading=assume_ground(reading).mask_cpr())


def collect_refusal(described: DescribedLogin, service: str, person: Person | None = None) -> RefusedFacts:
    """Give the facts that are kept of a login, as the flow of a live one keeps them."""
    end = simulate_login(described, ideal_service(service), POLICIES, NOW, SITE)
    authentication = Authentication(described.upstream, "", "idp", (), (), NOW, None, NOW, NOW)
    request = AuthnRequest("_1", service, service, "")
    transaction = Transaction("t", "BCDFGHJK", NOW, NOW, request, upstream=described.upstream)
    arrived = replace(transaction, authentication=authentication, intent=described.intent, person=person)
    return collect_refused_facts(arrived, described.reading, end.decision, POLICIES, trusted=described.fault is None)


def edit_private(change: Callable[[Policy], Policy]) -> PolicySet:
    """Give the shipped policies with the one of private people changed."""
    policies = (change(policy) if policy.affiliation == "private" else policy for policy in POLICIES.policies)
    return PolicySet(tuple(policies), "another")


FINN = login("nemid", {"gn": (SECRET,), "sn": (SECRET,), "mail": (SECRET,)}, Assurance.SUBSTANTIAL, "real", 15)
NOBODY = Person("p1")


class Outcome(NamedTuple):
    """The result of a replay; ``place`` is that of a refusal."""

    permitted: bool = False
    reason: str = ""
    place: PolicyLine | None = None
    depends_on: tuple[str, ...] = ()


def again(facts: RefusedFacts, policies: PolicySet, service: str = "my-loans") -> Outcome:
    """Play the login of these facts again."""
    site = TrialSite(policies, "", Site({service: ideal_service(service)}, UPSTREAMS, {}))
    replay = replay_refusal(site, facts, NOW)
    played = replay.played
    if played is None:
        return Outcome(depends_on=replay.depends_on)
    return Outcome(played.is_permitted, played.reason, None if played.is_permitted else played.place)


@pytest.mark.parametrize("name", ["eduPersonAffiliation", "eduPersonPrimaryAffiliation"])
def test_a_scope_is_recorded_only_where_a_file_names_it(name: str) -> None:
    """Its scope is not checked, and may be a name; a word alone is kept."""
    for value, kept in ((f"student@{SECRET}", False), ("student", True)):
        facts = collect_refusal(login("wayf", {name: (value,)}, None, "none", None), "my-loans")
        assert SECRET not in str(facts)
        assert (name in dict(facts.values)) is kept
    named = Alternative((Condition(name, (f"student@{SECRET}",), PLACE),), PLACE)
    by_it = edit_private(lambda policy: replace(policy, match=(named,)))
    assert again(facts, by_it).depends_on == ()
    hidden = collect_refusal(login("wayf", {name: (f"student@{SECRET}",)}, None, "none", None), "my-loans")
    assert again(replace(hidden, borrower="none"), by_it).depends_on == (name,)


@pytest.mark.parametrize(
    ("require", "replay"),
    [
        (Requirement(cpr=True, age=15), Outcome(permitted=True, reason="ok")),
        (Requirement(cpr=True, age=16, place=PLACE), Outcome(reason="too_young", place=PLACE)),
        (
            Requirement(cpr=True, assurance=Assurance.HIGH, place=PLACE),
            Outcome(reason="assurance_too_low", place=PLACE),
        ),
    ],
)
def test_the_result_today_follows_the_rules_of_today(require: Requirement, replay: Outcome) -> None:
    """Age, level and kind of number were kept: a rule over them is answered, with its line."""
    facts = collect_refusal(FINN, "my-loans", NOBODY)

    assert again(facts, edit_private(lambda policy: replace(policy, require=require))) == replay


def test_a_rule_about_an_unrecorded_value_is_not_guessed() -> None:
    """Its attribute was sent, and its value not kept: the answer names it instead of guessing."""
    facts = collect_refusal(FINN, "my-loans", NOBODY)
    wanted = Alternative((Condition("mail", ("finn@post.example",), PLACE),), PLACE)

    replay = again(facts, edit_private(lambda policy: replace(policy, match=(wanted,), require=Requirement())))
    assert replay == Outcome(depends_on=("mail",))


def test_the_result_can_depend_on_an_unknown_borrower() -> None:
    """The refused login did not look for a borrower, so the result with one is unknown."""
    facts = collect_refusal(
        login("wayf", {"eduPersonScopedAffiliation": ("student@ku.dk",)}, Assurance.LOW, "real", 30), "myprint"
    )
    everybody = edit_private(lambda policy: replace(policy, match=(Alternative((), PLACE),)))

    assert facts.borrower == "unknown"
    assert again(facts, everybody, "myprint") == Outcome(depends_on=("borrower",))
    assert again(replace(facts, borrower="none"), everybody, "myprint").reason == "no_library_account"


WORDS = st.sampled_from(["student@au.dk", "employee@au.dk", "employee@clin.au.dk", "affiliate@au.dk", "alum@ku.dk"])
LOGINS = st.builds(
    lambda upstream, words, assurance, cpr, age, more: login(
        upstream,
        {**({**AU, "eduPersonScopedAffiliation": tuple(words)} if words else {}), **more},
        assurance,
        cpr,
        age if cpr in {"real", "replacement"} else None,
    ),
    st.sampled_from(["wayf", "nemid"]),
    st.lists(WORDS, max_size=2, unique=True),
    st.none() | st.sampled_from(list(Assurance)),
    st.sampled_from(["real", "replacement", "constructed", "none"]),
    st.integers(10, 60),
    st.sampled_from([{}, {"kaldemail": ("n@auh.rm.dk",), "kaldemail_domain": ("auh.rm.dk",)}, {"mail": (SECRET,)}]),
)


@given(LOGINS, st.sampled_from(["my-loans", "myprint", "e-resources"]))
def test_the_same_policies_give_the_same_result(described: DescribedLogin, service: str) -> None:
    """Or it is said on what it depends, and that is something of which no value was kept."""
    end = simulate_login(described, ideal_service(service), POLICIES, NOW, SITE)
    facts = collect_refusal(described, service, NOBODY)
    replay = again(facts, POLICIES, service)

    if replay.depends_on:
        assert set(replay.depends_on).isdisjoint(VALUES_KEPT)
        assert set(replay.depends_on) <= set(facts.present)
    else:
        assert (replay.permitted, replay.reason) == (end.is_permitted, end.reason)
