"""Hypothesis strategies that draw transactions in every combination of facts."""

from dataclasses import replace

from hypothesis import strategies as st

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.consent.consent import Question, make_receipt
from broker.core.consent.disclosure import disclose
from broker.core.entities import Controller, Service
from broker.core.errors import AUTHN_FAILED
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.login.next_step import StepInputs
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import Account, AccountState, LoginPurpose, Person, Transaction, UpstreamRefusal
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, Effect, Reason
from tests.plugins.core_values import (
    NOW,
    REQUEST,
    WORDS,
    make_authentication,
    make_policy,
    make_release,
    make_transaction,
)

PSEUDONYMS = LookupHmacs("k1", b"k" * 32)
SERVICE = Service("my-loans", "https://loans.example", WORDS, ("wayf",), Controller(WORDS), encrypts=True)
LOGIN = make_authentication(attributes=(WireAttribute("cn", ("A",)),), authn_context="ctx")
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
    request = replace(REQUEST, is_passive=draw(st.booleans()))
    made = make_transaction(
        request=request,
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
    release = make_release(
        "my-loans",
        "sn",
        borrower=draw(st.sampled_from(["make", "need", "none"])),
        legal_basis=draw(st.sampled_from(["consent", "public_task"])),
    )
    policy = make_policy(releases=(release,))
    return Decision(
        Effect.PERMIT,
        (Reason("ok"),),
        "student",
        policy,
        draw(st.sampled_from([release, None])),
        ((release.attributes[0], ("Ravn",)),),
        digest="d",
    )
