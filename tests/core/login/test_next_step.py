"""The next step, for every state of a transaction."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.matching import AddressAnswer, AddressQuestion
from broker.core.consent.consent import Question, ReceiptEvent, make_receipt
from broker.core.consent.disclosure import disclose
from broker.core.entities import Controller, Service, Text
from broker.core.errors import (
    AUTHN_FAILED,
    INVALID_NAME_ID_POLICY,
    NO_AUTHN_CONTEXT,
    NO_PASSIVE,
    REQUEST_DENIED,
    Status,
)
from broker.core.identity.rights import Ground
from broker.core.login.next_step import StepInputs, next_step
from broker.core.login.steps import (
    Ask,
    Authenticate,
    ClaimBorrower,
    ConfirmAddress,
    Done,
    Enrol,
    Issue,
    ProveMailbox,
    Refuse,
    Step,
    TellChange,
)
from broker.core.login.transaction import Account, AccountState, Issued, LoginPurpose, Transaction, UpstreamRefusal
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import BorrowerRule, Decision, Effect, PolicyLine, Reason, RegisterRule

GIVER = Controller(Text("AU", "AU"))
IDS = {"subject-id": "a1@library.example", "pairwise-id": "b2@library.example"}
DENY = Decision(Effect.DENY, (Reason("no_affiliation"),))

Next = Callable[[Transaction, Decision], Step]


@pytest.fixture
def after(service: Service, hmacs: LookupHmacs, now: datetime) -> Next:
    """Give the next step of a transaction under a decision."""

    def ask(transaction: Transaction, decision: Decision = DENY) -> Step:
        came = transaction.authentication.authn_context if transaction.authentication else None
        terms = StepInputs(service, GIVER, hmacs, decision, None, ("wayf", "nemid"), received_class=came, ids=IDS)
        return next_step(transaction, terms, now)

    return ask


@pytest.fixture
def answer_question(arrived_transaction: Transaction, service: Service, hmacs: LookupHmacs, now: datetime) -> Any:
    """Give a maker of transactions whose person has answered the question of a decision."""

    def make(decision: Decision, *, yes: bool = True) -> Transaction:
        shown = disclose(decision, service, arrived_transaction.request.acs, GIVER)
        made = make_receipt(
            "r", Question(shown), yes, remembered_for=None, person="p", language="da", hmacs=hmacs, now=now
        )
        return replace(arrived_transaction, receipt=made)

    return make


def test_a_chosen_way_authenticates(transaction: Transaction, after: Next) -> None:
    """A chosen upstream is where the browser goes."""
    assert after(replace(transaction, upstream="wayf"), DENY) == Authenticate("wayf")


@pytest.mark.profile(27)
def test_a_passive_request_never_chooses(transaction: Transaction, after: Next) -> None:
    """IsPassive forbids the chooser: the service hears NoPassive.

    Source: docs/reference/saml-profiles.md#27.
    """
    passive = replace(transaction, request=replace(transaction.request, is_passive=True))
    assert after(passive, DENY) == Refuse("passive", NO_PASSIVE)


REFUSALS = {
    "cancelled": (AUTHN_FAILED, "upstream_refused", AUTHN_FAILED),
    "passive": (NO_PASSIVE, "passive", NO_PASSIVE),
    "weak": (NO_AUTHN_CONTEXT, "assurance_too_low", NO_AUTHN_CONTEXT),
    "odd": (Status("urn:odd", None), "upstream_refused", AUTHN_FAILED),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.profile(19)
def test_an_upstream_s_no_ends_the_login(transaction: Transaction, after: Next, name: str) -> None:
    """An error status of the upstream becomes our own, never passed on as it came."""
    status, reason, told = REFUSALS[name]
    failed = replace(transaction, upstream="wayf", failure=UpstreamRefusal("wayf", status))
    assert after(failed, DENY) == Refuse(reason, told)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("level_missing", NO_AUTHN_CONTEXT),
        ("level_too_low", NO_AUTHN_CONTEXT),
        ("assurance_too_low", REQUEST_DENIED),
        ("no_policy_for_service", REQUEST_DENIED),
    ],
)
def test_a_level_that_is_not_met_is_told_as_such(
    arrived_transaction: Transaction, after: Next, code: str, status: Status
) -> None:
    """The service hears NoAuthnContext where the upstream's level refused the login, else RequestDenied."""
    denial = Decision(Effect.DENY, (Reason(code), Reason("no_affiliation")))
    assert after(arrived_transaction, denial) == Refuse(code, status, denial)


def test_nothing_is_asked_after_an_assertion_has_left(
    after: Next, permit: Any, answer_question: Any, now: datetime
) -> None:
    """The login is over: another question would send two answers to one request."""
    decision = permit()
    issued = replace(answer_question(decision), issued=Issued("_r", "_a", now, "n", "c"))
    assert isinstance(after(issued, decision), Issue)
    other = permit(sn=("Ravn",), mail=("a@b.example",))
    assert after(issued, other) == Refuse("finished", AUTHN_FAILED, other)


def test_a_permit_without_a_release_entry_refuses(arrived_transaction: Transaction, after: Next, permit: Any) -> None:
    """A permit that names no release entry lets nothing out (fails closed)."""
    step = after(arrived_transaction, replace(permit(), release=None))
    assert isinstance(step, Refuse)


@pytest.mark.parametrize(("basis", "variant"), [("consent", "ask"), ("public_task", "inform")])
def test_nothing_leaves_before_it_was_shown(
    arrived_transaction: Transaction, after: Next, permit: Any, basis: str, variant: str
) -> None:
    """Every first release is asked for or told of."""
    step = after(arrived_transaction, permit(basis))
    assert isinstance(step, Ask)
    assert step.question.variant == variant


def test_a_refusal_declines(after: Next, permit: Any, answer_question: Any) -> None:
    """A no is a page and, if the person returns, RequestDenied."""
    step = after(answer_question(permit(), yes=False), permit())
    assert isinstance(step, Refuse)
    assert (step.reason, step.status) == ("consent_refused", REQUEST_DENIED)


ACCOUNTS = {
    "none yet": (None, Enrol),
    "looked and none": (Account(None, AccountState.NONE), Enrol),
    "wanted": (Account(None, AccountState.WANTED), Enrol),
    "library silent": (Account(None, AccountState.UNAVAILABLE), Enrol),
    "done": (Account("7", AccountState.DONE), Issue),
    "as it is": (Account("7", AccountState.KNOWN), Issue),
    "case": (Account(None, AccountState.CASE, reason="several_borrowers"), Refuse),
    "without mail": (Account(None, AccountState.MAIL_REQUIRED), ProveMailbox),
}


@pytest.mark.parametrize("name", ACCOUNTS)
def test_a_service_that_makes_borrowers_waits_for_one(
    after: Next, permit: Any, answer_question: Any, name: str
) -> None:
    """`borrower: make` issues only once the borrower is there, or is known never to be made here."""
    account, expected = ACCOUNTS[name]
    decision = permit(borrower="make", borrower_number=())
    assert isinstance(after(replace(answer_question(decision), account=account), decision), expected)


@pytest.mark.parametrize("outcome", [None, *EnrolmentOutcome])
def test_a_category_that_fell_or_rose_is_told_before_the_login_goes_on(
    after: Next, permit: Any, answer_question: Any, outcome: EnrolmentOutcome | None
) -> None:
    """Once; a request that may show no page goes on, and the page of a sign-up says so itself."""
    decision = permit(borrower="make", borrower_number=())
    moved = replace(answer_question(decision), account=Account("7", AccountState.DONE, outcome=outcome))
    tells = outcome in {EnrolmentOutcome.LOWERED, EnrolmentOutcome.UPGRADED}
    assert isinstance(after(moved, decision), TellChange) is tells
    assert isinstance(after(replace(moved, told=True), decision), Issue)
    passive = replace(moved, request=replace(moved.request, is_passive=True))
    assert isinstance(after(passive, decision), Issue)
    assert isinstance(after(replace(moved, purpose=LoginPurpose.SIGN_UP), decision), Done)


@pytest.mark.parametrize("borrower", ["make", "need"])
@pytest.mark.parametrize("state", [AccountState.CASE, AccountState.CLOSED])
@pytest.mark.parametrize("reason", [None, "several_borrowers"])
def test_an_account_that_is_not_made_is_refused_with_a_reason(
    after: Next, permit: Any, answer_question: Any, *, state: AccountState, reason: str | None, borrower: str
) -> None:
    """Its own where it has one; staff must look, unless the library takes nobody in now."""
    decision = permit(borrower=borrower)
    step = after(replace(answer_question(decision), account=Account("7", state, reason=reason)), decision)
    assert isinstance(step, Refuse)
    assert step.status == REQUEST_DENIED
    if state is AccountState.CLOSED:
        assert step.reason == "library_unavailable"
    else:
        assert step.reason == (reason or "account_case")


@pytest.mark.parametrize(
    ("ground", "permits", "step"),
    [
        (Ground.NATIONAL_EID, True, ClaimBorrower),
        (Ground.INSTITUTION, True, ClaimBorrower),
        (Ground.INSTITUTION, False, Refuse),
        (Ground.ALUMNI, True, Refuse),
        (Ground.LIBRARY_ACCOUNT, True, Refuse),
    ],
)
def test_a_possible_duplicate_is_claimed_with_the_right_to_create_only(
    after: Next, permit: Any, answer_question: Any, *, ground: Ground, permits: bool, step: type
) -> None:
    """The case may have been opened by another login of the person."""
    decision = replace(permit(borrower="make"), ground=ground, permits_creation=permits)
    case = Account(None, AccountState.CASE, reason="possible_duplicate", can_claim=True)
    assert isinstance(after(replace(answer_question(decision), account=case), decision), step)


def test_nothing_comes_before_the_question_of_a_first_match(after: Next, permit: Any, answer_question: Any) -> None:
    """For a login, a sign-up and a new PIN; a request that may show no page is refused."""
    question = AddressQuestion("a•••@e•••", "hash")
    for ground in (Ground.NATIONAL_EID, Ground.ALUMNI):
        decision = replace(permit(borrower="make"), ground=ground, permits_creation=True)
        account = Account("7", AccountState.KNOWN, address_question=question)
        asked = replace(answer_question(decision), account=account)
        for purpose in (LoginPurpose.LOGIN, LoginPurpose.SIGN_UP, LoginPurpose.PIN):
            assert after(replace(asked, purpose=purpose), decision) == ConfirmAddress(question, decision)
        other = AddressAnswer("hash of another match", is_own=True)
        assert isinstance(after(replace(asked, address_answer=other), decision), ConfirmAddress)
        passive = replace(asked, request=replace(asked.request, is_passive=True))
        assert after(passive, decision) == Refuse("passive", NO_PASSIVE, decision)


def test_a_missing_mail_address_is_proved_before_consent(
    arrived_transaction: Transaction, after: Next, permit: Any
) -> None:
    """The person is not asked for a consent that could not be used (R22)."""
    step = after(
        replace(arrived_transaction, account=Account(None, AccountState.MAIL_REQUIRED)), permit(borrower="make")
    )
    assert isinstance(step, ProveMailbox)
    assert (step.name, step.domains, step.optional) == ("mail", (), False)


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (None, "no_library_account"),
        (Account(None, AccountState.NONE), "no_library_account"),
        (Account(None, AccountState.UNAVAILABLE), "library_unavailable"),
    ],
)
def test_a_service_that_needs_a_borrower(
    arrived_transaction: Transaction, after: Next, permit: Any, account: Account | None, reason: str
) -> None:
    """`borrower: need` without one leads to signing up, or says that the library does not answer."""
    step = after(replace(arrived_transaction, account=account), permit("public_task", "need"))
    assert isinstance(step, Refuse)
    assert step.reason == reason


def test_an_exact_context_is_kept(arrived_transaction: Transaction, after: Next, permit: Any) -> None:
    """A class that was asked for exactly and did not come is NoAuthnContext, and is never echoed."""
    asked = replace(
        arrived_transaction,
        request=replace(arrived_transaction.request, authn_contexts=("https://refeds.org/profile/mfa",)),
    )
    assert after(asked, permit()) == Refuse("assurance_too_low", NO_AUTHN_CONTEXT)
    came = replace(
        arrived_transaction,
        request=replace(
            arrived_transaction.request, authn_contexts=("urn:oasis:names:tc:SAML:2.0:ac:classes:Password",)
        ),
    )
    assert isinstance(after(came, permit()), Ask)


SENT = {"sn": ("Ravn",)}


def permit_with_notice(permit: Any, basis: str = "public_task", *, released: Any = SENT, **terms: Any) -> Decision:
    """Return a permit whose page the upstream has shown."""
    decision: Decision = permit(basis, **released)
    assert decision.release is not None
    shown: dict[str, Any] = {"notice": "upstream", "name_id": "transient", **terms}
    return replace(decision, release=replace(decision.release, **shown))


@pytest.mark.parametrize(
    ("terms", "shows_nothing"),
    [
        ({}, True),
        ({"released": {"borrower_number": ()}}, False),
        ({"released": {**SENT, "subject-id": ("x",)}}, False),
        ({"released": {**SENT, "pairwise-id": ("x",)}}, False),
        ({"released": {**SENT, "kaldemail_domain": ("x",)}}, False),
        ({"basis": "consent"}, False),
        ({"notice": "ours"}, False),
        ({"name_id": "persistent"}, False),
    ],
)
def test_an_upstream_s_notice_covers_only_what_it_sent(
    arrived_transaction: Transaction, after: Next, permit: Any, terms: dict[str, Any], *, shows_nothing: bool
) -> None:
    """`notice: upstream` skips our screen, but not where we add something or where consent is the basis."""
    step = after(arrived_transaction, permit_with_notice(permit, **terms))
    assert isinstance(step, Issue if shows_nothing else Ask)


def test_an_upstream_s_notice_covers_no_constant_and_no_register(
    arrived_transaction: Transaction, after: Next, permit: Any
) -> None:
    """A constant of the policy, and an address from the register, are not the upstream's."""
    plain = permit_with_notice(permit)
    ((listed, _values),) = plain.released
    stated = replace(plain, released=((replace(listed, states=("x",)), ("x",)),))
    assert isinstance(after(arrived_transaction, stated), Ask)
    needing = permit_with_notice(permit, borrower="need")
    has_one = replace(arrived_transaction, account=Account("42", AccountState.KNOWN))
    assert isinstance(after(has_one, needing), Issue)
    assert needing.policy
    rule = BorrowerRule("STUD", (), Expiry(24), (), "mail", place=PolicyLine("p.yaml", 1), register=RegisterRule())
    by_register = replace(needing, policy=replace(needing.policy, borrower=rule))
    assert isinstance(after(has_one, by_register), Ask)


def test_an_identifier_of_an_upstream_never_leaves(
    arrived_transaction: Transaction, service: Service, hmacs: LookupHmacs, now: datetime, permit: Any
) -> None:
    """Where we make no subject-id or pairwise-id, a value that came with the login does not take its place."""
    decision = permit("public_task", **{"sn": ("Ravn",), "subject-id": ("x@au.dk",), "pairwise-id": ("y@au.dk",)})
    step = next_step(arrived_transaction, StepInputs(service, GIVER, hmacs, decision, None, ("wayf",)), now)
    assert isinstance(step, Ask)
    assert [item.name for item in step.question.disclosure.items] == ["sn"]


def test_a_format_the_policy_does_not_give_is_refused_before_anybody_is_asked(
    arrived_transaction: Transaction, after: Next, permit: Any
) -> None:
    """A NameIDPolicy that cannot be met is InvalidNameIDPolicy, with no screen and no borrower before it."""
    asked = replace(arrived_transaction, request=replace(arrived_transaction.request, name_id_format="urn:other"))
    assert after(asked, permit()) == Refuse("request_refused", INVALID_NAME_ID_POLICY, permit())


def test_a_person_never_looked_up_begins_anew(arrived_transaction: Transaction, after: Next, permit: Any) -> None:
    """Where policies denied at arrival and permit now, nothing known of the person is made up."""
    step = after(replace(arrived_transaction, person=None), permit())
    assert isinstance(step, Refuse)
    assert step.reason == "login_not_finished"


@given(data=st.data())
def test_nothing_is_issued_without_all_it_takes(data: st.DataObject) -> None:
    """Issue needs an authentication, a permit and an answer."""
    from tests.core.login.transaction_strategies import terms_of, transactions

    transaction, decision = data.draw(transactions())
    step = next_step(transaction, terms_of(decision), transaction.begun)
    if isinstance(step, Issue):
        assert transaction.purpose is LoginPurpose.LOGIN
        assert transaction.authentication is not None
        assert transaction.failure is None
        assert decision.effect is Effect.PERMIT
        assert transaction.receipt is not None
        assert transaction.receipt.event in {ReceiptEvent.GIVEN, ReceiptEvent.INFORMED}
        assert decision.release is not None
