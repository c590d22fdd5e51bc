"""A simulated login has the steps and the end of a real login."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.configuration.policies import live_policies
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Assurance, Service
from broker.core.errors import REQUEST_DENIED
from broker.core.identity.canonical_attributes import CPR_STAND_IN, AttributeReading, Attributes, assume_ground
from broker.core.identity.rights import Ground
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.login.site import Site
from broker.core.login.steps import Refuse
from broker.core.login.transaction import LoginPurpose
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import Example, Field, Policy, PolicySet, RegisterRule, ideal_service

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POLICIES = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)
SITE = Site.from_policies((POLICIES,))
# A borrower that the login does not find decides nothing in a real login.
EXAMPLES = [
    example
    for policy in POLICIES.policies
    for example in policy.examples
    if not example.login.borrower or example.login.cpr == "real" or example.login.upstream == "library"
]
MY_LOANS = ideal_service("my-loans")
NAMED = {"gn": ("Asta",), "sn": ("Ravn",), "mail": ("asta@post.example",)}
CATEGORIES = ("PRIVATE", "STUDENT", "EMPLOYEE", "HOSPITAL", "TEMP", "OTHER")


def login(
    *affiliations: str, upstream: str = "wayf", assurance: Assurance = Assurance.LOW, cpr: str = "real", **more: object
) -> DescribedLogin:
    """Describe the login of a person of 22 with these scoped affiliations."""
    attributes: dict[str, tuple[str, ...]] = {**NAMED}
    if affiliations:
        attributes["eduPersonScopedAffiliation"] = affiliations
        attributes["schacHomeOrganization"] = ("au.dk",)
    if cpr != "none":
        attributes["cpr"] = CPR_STAND_IN
    reading = AttributeReading(Attributes(attributes), assurance, cpr, 22 if cpr == "real" else None)
    read = assume_ground(reading).mask_cpr()
    return replace(DescribedLogin(upstream, reading=read), **more)  # type: ignore[arg-type]


def eid(**more: object) -> DescribedLogin:
    """Describe the login of a person of 22 by the national eID."""
    return login(upstream="nemid", assurance=Assurance.SUBSTANTIAL, **more)  # type: ignore[arg-type]


def simulate(described: DescribedLogin, service: Service = MY_LOANS) -> PlayedLogin:
    """Play a login by the shipped policies."""
    return simulate_login(described, service, POLICIES, NOW, SITE)


def list_steps(end: PlayedLogin) -> list[str]:
    """Name the steps of a played login."""
    return [type(step).__name__ for step in end.steps]


STUDENT = login("student@au.dk")
NURSE = {"kaldemail": "nurse@auh.rm.dk"}


@pytest.mark.parametrize(
    ("described", "outcome", "category", "months"),
    [
        (STUDENT, EnrolmentOutcome.CREATED, "STUDENT", 12),
        (replace(STUDENT, borrower=DescribedBorrower("PRIVATE")), EnrolmentOutcome.UPGRADED, "STUDENT", 12),
        (
            replace(STUDENT, borrower=DescribedBorrower("PRIVATE"), upgrade=False),
            EnrolmentOutcome.UNCHANGED,
            "PRIVATE",
            None,
        ),
        (replace(STUDENT, borrower=DescribedBorrower("OTHER")), EnrolmentOutcome.UNCHANGED, "OTHER", None),
        (
            replace(STUDENT, borrower=DescribedBorrower("STUDENT", expires=date(2026, 12, 1))),
            EnrolmentOutcome.UPDATED,
            "STUDENT",
            12,
        ),
        (replace(login("alum@au.dk"), borrower=DescribedBorrower("STUDENT")), EnrolmentOutcome.LOWERED, "PRIVATE", 24),
        (eid(intent="hospital", addresses=NURSE), EnrolmentOutcome.CREATED, "HOSPITAL", 24),
        (eid(intent="hospital", addresses={"kaldemail": "x@gmail.example"}), EnrolmentOutcome.CREATED, "PRIVATE", 24),
    ],
)
def test_the_planned_borrower_is_that_of_an_enrolment(
    described: DescribedLogin, outcome: EnrolmentOutcome, category: str, months: int | None
) -> None:
    """Made, upgraded, lowered, renewed or kept, for as long as the rule says."""
    planned = simulate(described).borrower

    assert planned is not None
    assert (planned.outcome, planned.category, planned.expiry) == (
        outcome,
        category,
        Expiry(months) if months else None,
    )
    assert planned.place is not None


def test_a_fault_ends_the_login_and_plans_nothing() -> None:
    """Its reason is shown, nothing leaves, and no borrower is planned."""
    end = simulate(eid(fault=("cpr_disagrees", "cpr")))
    assert (end.is_permitted, end.reason, end.borrower, end.attributes_sent) == (False, "cpr_disagrees", None, ())


def test_only_a_usable_cpr_number_finds_the_borrower() -> None:
    """A replacement number finds nobody, although the person has an account."""
    there = DescribedBorrower("STUDENT")
    assert simulate(replace(STUDENT, borrower=there)).is_permitted
    end = simulate(replace(login("student@au.dk", cpr="replacement"), borrower=there))
    assert (end.is_permitted, end.reason) == (False, "replacement_number")


def describe_example(example: Example) -> DescribedLogin:
    """Describe the login of an example: whether there is a borrower is all that it says of one."""
    facts = example.login
    reading = AttributeReading(facts.attributes, facts.assurance, facts.cpr, facts.age, ground=facts.ground)
    there = DescribedBorrower("PRIVATE") if facts.borrower else None
    return DescribedLogin(facts.upstream, reading=reading.mask_cpr(), intent=facts.intent, borrower=there)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.place))
def test_every_example_ends_as_it_expects(example: Example) -> None:
    """Played to the end, an example has the effect and the attributes that its file expects."""
    end = simulate(describe_example(example), ideal_service(example.service))

    assert end.is_permitted == (example.expect.effect == "permit")
    if example.expect.reason and not end.is_permitted:
        assert end.reason == example.expect.reason
    if example.expect.releases is not None:
        proved = {"mail"} if "ProveMailbox" in list_steps(end) else set()  # an account needs an address
        assert {each.name for each in end.attributes_sent} - proved == set(example.expect.releases) - proved


def set_email_sources(*sources: str) -> PolicySet:
    """Give the shipped policies with these sources of the account's address, none: no such field."""

    def change_policy(policy: Policy) -> Policy:
        if policy.borrower is None:
            return policy
        fields = tuple(field for field in policy.borrower.fields if field.name != "email")
        email = [Field("email", sources[0], "create", policy.borrower.place, sources[1:])] if sources else []
        return replace(policy, borrower=replace(policy.borrower, fields=(*fields, *email)))

    return PolicySet(tuple(map(change_policy, POLICIES.policies)), "d")


def describe_student_with_mail(*addresses: str) -> DescribedLogin:
    """Describe the login of a student of whom the university names these addresses."""
    attributes = Attributes({**STUDENT.reading.attributes, "mail": addresses})
    return replace(STUDENT, reading=replace(STUDENT.reading, attributes=attributes))


@pytest.mark.parametrize(
    ("sources", "addresses", "steps"),
    [
        (["mail"], [], ["ProveMailbox", "Ask", "Enrol", "Issue"]),
        (["proof.kaldemail", "mail"], [], ["ProveMailbox", "Ask", "Enrol", "Issue"]),
        (["proof.mail"], [], ["ProveMailbox", "Ask", "Enrol", "Issue"]),
        (["mail"], ["asta@post.example"], ["Ask", "Enrol", "Issue"]),
        (["mail"], ["<b>@post.example"], ["Refuse"]),
        (["proof.kaldemail"], [], ["Refuse"]),
        (["proof.kaldemail"], ["asta@post.example"], ["Refuse"]),
        ([], [], ["Refuse"]),
        ([], ["asta@post.example"], ["Refuse"]),
    ],
)
def test_a_mailbox_is_asked_for_only_if_a_proof_helps(
    sources: list[str], addresses: list[str], steps: list[str]
) -> None:
    """If no proof helps, the account becomes a case for staff."""
    end = simulate_login(describe_student_with_mail(*addresses), MY_LOANS, set_email_sources(*sources), NOW, SITE)

    assert list_steps(end) == steps
    assert steps != ["Refuse"] or end.reason == "account_case"


BORROWERS = st.none() | st.builds(
    DescribedBorrower, st.sampled_from(CATEGORIES), expires=st.none() | st.dates(date(2026, 1, 1), date(2030, 1, 1))
)
LOGINS = st.builds(
    lambda words, upstream, assurance, cpr, **more: login(
        *words, upstream=upstream, assurance=assurance, cpr=cpr, **more
    ),
    st.lists(st.sampled_from(["student@au.dk", "employee@au.dk", "affiliate@au.dk", "alum@ku.dk"]), max_size=2),
    st.sampled_from(["wayf", "nemid"]),
    st.sampled_from(list(Assurance)),
    st.sampled_from(["real", "replacement", "constructed", "none"]),
    borrower=BORROWERS,
    intent=st.sampled_from([None, "student", "hospital", "private", "unheard-of"]),
    purpose=st.sampled_from([LoginPurpose.LOGIN, LoginPurpose.SIGN_UP, LoginPurpose.PIN]),
    addresses=st.sampled_from([{}, NURSE, {"kaldemail": "x@gmail.example"}]),
    upgrade=st.booleans(),
)


EMAILS = [(), ("mail",), ("proof.kaldemail",), ("proof.kaldemail", "mail"), ("sn",)]


@given(
    LOGINS,
    st.sampled_from(["my-loans", "myprint", "e-resources"]),
    st.sampled_from([POLICIES, *(set_email_sources(*sources) for sources in EMAILS)]),
    st.sampled_from([None, (), ("<b>@post.example",), ("=cmd@post.example",), ("a b@post.example",)]),
)
def test_every_login_has_an_end_and_no_step_comes_twice(
    described: DescribedLogin, service: str, policies: PolicySet, addresses: tuple[str, ...] | None
) -> None:
    """Every login ends, no step is repeated (two proofs have two names), and a refusal releases nothing."""
    if addresses is not None:
        attributes = Attributes({**described.reading.attributes, "mail": addresses})
        described = replace(described, reading=replace(described.reading, attributes=attributes))
    end = simulate_login(described, ideal_service(service), policies, NOW, SITE)

    steps = [(type(step), getattr(step, "name", "")) for step in end.steps]
    assert len(steps) == len(set(steps))
    assert end.is_permitted or not end.attributes_sent
    assert {each.name for each in end.attributes_sent}.isdisjoint(fate.name for fate in end.attributes_not_sent)


def test_a_person_whose_proof_is_not_accepted_continues_without_it() -> None:
    """The condition names fewer domains than the proof: the page asks again, and the person has no other mailbox."""
    hospital = POLICIES.policy_by_affiliation["hospital"]
    asking, *others = hospital.match
    named = (
        replace(each, values=("ps.rm.dk",)) if each.name == "kaldemail_domain" else each for each in asking.conditions
    )
    match = (replace(asking, conditions=tuple(named)), *others)
    policies = [replace(each, match=match) if each is hospital else each for each in POLICIES.policies]

    end = simulate_login(eid(intent="hospital", addresses=NURSE), MY_LOANS, PolicySet(tuple(policies), "d"), NOW, SITE)

    assert list_steps(end)[:2] == ["ProveMailbox", "ProveMailbox"]
    assert end.decision.affiliation == "private"


def add_register(affiliation: str) -> PolicySet:
    """Give the shipped policies, with the register asked about the people of one file."""
    policies = [
        replace(each, borrower=replace(each.borrower, register=RegisterRule("always")))
        if each.borrower and each.affiliation == affiliation
        else each
        for each in POLICIES.policies
    ]
    return PolicySet(tuple(policies), POLICIES.digest)


def test_the_register_is_asked_by_a_number_that_leads_to_a_borrower() -> None:
    """Of whom is known in person, and let in with a borrower at the end: of nobody else."""
    students = add_register("student")
    found = simulate_login(STUDENT, MY_LOANS, students, NOW, SITE)
    assert found.register == RegisterRule("always")
    assert replace(found, decision=replace(found.decision, ground=Ground.IDENTIFIER)).register is None
    assert replace(found, borrower=None).register is None
    assert replace(found, steps=(Refuse("a reason", REQUEST_DENIED),)).register is None
    assert simulate_login(STUDENT, ideal_service("e-resources"), students, NOW, SITE).register is None
    assert simulate(STUDENT).register == RegisterRule("set_if_empty")
    left = replace(login("alum@au.dk"), borrower=DescribedBorrower("STUDENT"))
    lowered = simulate_login(left, MY_LOANS, add_register("private"), NOW, SITE)
    assert lowered.borrower is not None
    assert lowered.register is None
