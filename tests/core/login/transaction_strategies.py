"""Hypothesis strategies that draw transactions in every combination of facts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.consent.consent import Question, make_receipt
from broker.core.consent.disclosure import disclose
from broker.core.entities import Controller, Service, Text
from broker.core.errors import AUTHN_FAILED
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.login.next_step import StepInputs
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import (
    Account,
    AccountState,
    Authentication,
    AuthnRequest,
    LoginPurpose,
    Person,
    Transaction,
    UpstreamRefusal,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import (
    Decision,
    Effect,
    Policy,
    PolicyLine,
    Reason,
    Release,
    ReleasedAttribute,
    Requirement,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
WORDS, PLACE = Text("words", "ord"), PolicyLine("student.yaml", 1)
PSEUDONYMS = LookupHmacs("k1", b"k" * 32)
SERVICE = Service("my-loans", "https://loans.example", WORDS, ("wayf",), Controller(WORDS), encrypts=True)
LOGIN = Authentication(
    "wayf", "i", "au", ("au",), (WireAttribute("cn", ("A",)),), NOW, "ctx", NOW, NOW + timedelta(minutes=4)
)
ACCOUNTS = (
    None,
    Account("7", AccountState.DONE),
    Account("7", AccountState.DONE, outcome=EnrolmentOutcome.LOWERED),
    Account(None, AccountState.CASE),
    Account(None, AccountState.NONE),
    Account(None, AccountState.NONE, upgrade_from="PRIVATE"),
    Account(None, AccountState.MAIL_REQUIRED),
)
LACKING = ProveMailbox("kaldemail", ("auh.rm.dk",), None, optional=True)


def terms_of(
    decision: Decision, lacking: ProveMailbox | None = None, local: frozenset[str] = frozenset()
) -> StepInputs:
    """Return terms with a fixed decision and a fixed missing mailbox proof."""
    ways = ("wayf", "library")
    return StepInputs(SERVICE, Controller(WORDS), PSEUDONYMS, decision, lacking, ways, local)


@st.composite
def transactions(draw: st.DrawFn) -> tuple[Transaction, Decision]:
    """Draw a transaction and a decision about it."""
    decision = draw(decisions())
    request = AuthnRequest("_r", "my-loans", "https://loans.example", "acs", is_passive=draw(st.booleans()))
    plain = Transaction("t" * 32, "BCDFGHJK", NOW, NOW + timedelta(minutes=30), request)
    made = replace(
        plain,
        upstream=draw(st.sampled_from([None, "wayf"])),
        authentication=draw(st.sampled_from([None, LOGIN])),
        failure=draw(st.sampled_from([None, UpstreamRefusal("wayf", AUTHN_FAILED)])),
        person=draw(st.sampled_from([None, Person("p")])),
        account=draw(st.sampled_from(ACCOUNTS)),
        purpose=draw(st.sampled_from(LoginPurpose)),
        upgrade=draw(st.sampled_from([None, True, False])),
        unproved=draw(st.booleans()),
    )
    if decision.release is None or draw(st.booleans()):
        return made, decision
    asked = Question(disclose(decision, SERVICE, "acs", Controller(WORDS)))
    answer = make_receipt(
        "r", asked, draw(st.booleans()), remembered_for=None, person="p", language="da", hmacs=PSEUDONYMS, now=NOW
    )
    return replace(made, receipt=answer), decision


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Draw a decision: deny, permit, or a permit that lacks its release entry."""
    if draw(st.booleans()):
        return Decision(Effect.DENY, (Reason("no_affiliation"),))
    listed = (ReleasedAttribute("sn", WORDS, PLACE),)
    release = Release(
        "my-loans",
        draw(st.sampled_from(["make", "need", "none"])),
        draw(st.sampled_from(["consent", "public_task"])),
        WORDS,
        "persistent",
        listed,
        place=PLACE,
    )
    policy = Policy("s.yaml", "student", 1, WORDS, "o", date(2027, 1, 1), (), (), Requirement(), None, (release,))
    return Decision(
        Effect.PERMIT,
        (Reason("ok"),),
        "student",
        policy,
        draw(st.sampled_from([release, None])),
        ((listed[0], ("Ravn",)),),
        digest="d",
    )
